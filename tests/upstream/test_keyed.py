"""Requests with the same key go to the same endpoint; one endpoint less moves only its own keys."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.request_headers import RequestHeaders, parse_headers
from proxy.http.request_line import RequestLine, parse_request_line
from proxy.model.actions import (
    Algorithm,
    Backend,
    Balance,
    Destination,
    HashKey,
    HashSource,
    Share,
    Split,
    SplitMode,
)
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.algorithms.hashing import best, best_of_equals, number_of, opaque_id, seed_of
from proxy.upstream.balancing.keyed import KeyReader
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services
from tests.support.endpoints import fail
from tests.support.snapshots import split
from tests.upstream.test_backends import BASE, CANARY, describe, plan_of

BY_CLIENT = Balance(Algorithm.HASH, HashKey(HashSource.CLIENT))
CLIENTS = [b"10.1.%d.%d" % divmod(number, 256) for number in range(2000)]
LINE, HEADERS = parse_request_line(b"GET /a/b?user=u1&x=2 HTTP/1.1"), parse_headers(b"Host: shop.example\r\n")


def first(plan: RoutePlan, client: bytes) -> LiveEndpoint:
    choice = plan.pick_for(client, LINE, HEADERS)
    assert choice is not None
    endpoint = choice.first()
    assert endpoint is not None
    return endpoint


def places(plan: RoutePlan) -> dict[bytes, int]:
    return {client: first(plan, client).port for client in CLIENTS}


def order(plan: RoutePlan, client: bytes) -> list[int]:
    """The ports a request goes to when every attempt fails."""
    choice = plan.pick_for(client, LINE, HEADERS)
    assert choice is not None
    tried: list[LiveEndpoint] = []
    endpoint = choice.first()
    while endpoint is not None:
        tried.append(endpoint)
        endpoint = choice.following(tried, attempts=len(tried), stay=True)
    return [endpoint.port for endpoint in tried]


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.mark.parametrize("own", [split(), split({"c1": 30, "c2": 70})])
def test_one_endpoint_less_moves_only_its_own_keys_each_to_its_next(services: Services, own: Split) -> None:
    plan = plan_of(services, Backend(BASE), own=own, balance=BY_CLIENT)
    describe(services, {BASE: {"c1": [1, 2, 3], "c2": [4, 5]}})
    before = places(plan)
    following = {client: order(plan, client)[1] for client in CLIENTS}
    describe(services, {BASE: {"c1": [1, 2, 3], "c2": [5]}})
    after = places(plan)
    moved = {client for client in CLIENTS if before[client] != after[client]}
    assert moved == {client for client in CLIENTS if before[client] == 4}
    assert all(after[client] == following[client] for client in moved)
    describe(services, {BASE: {"c1": [1, 2, 3], "c2": [4, 5]}})
    assert places(plan) == before


def test_keys_are_spread_like_shares(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), own=split({"c1": 20, "c2": 80}), balance=BY_CLIENT)
    describe(services, {BASE: {"c1": [1], "c2": [2, 3]}})
    assert Counter(places(plan).values()) == pytest.approx({1: 400, 2: 800, 3: 800}, abs=80)
    describe(services, {BASE: {"c1": [], "c2": [2, 3]}})
    assert Counter(places(plan).values()) == pytest.approx({2: 1000, 3: 1000}, abs=90)


def test_weights_of_endpoints_and_backends_count(services: Services) -> None:
    one = split({"c1": 1})
    plan = plan_of(services, Backend(BASE, 80), Backend(CANARY, 20), own=one, balance=BY_CLIENT)
    pods = (Endpoint("::1", 1, weight=10), Endpoint("::1", 2, weight=30), Endpoint("::1", 3, weight=0))
    services.change(Service(BASE, (ClusterEndpoints("c1", pods),)))
    describe(services, {CANARY: {"c1": [11]}})
    assert Counter(places(plan).values()) == pytest.approx({1: 400, 2: 1200, 11: 400}, abs=80)
    base = {client: port for client, port in places(plan).items() if port != 11}
    describe(services, {CANARY: {}})
    assert places(plan).items() >= base.items()


def test_tiers_fallbacks_and_residency(services: Services) -> None:
    shares = (Share("c1"), Share("c2", priority=1))
    backend = Backend(CANARY, fallbacks=(Destination(BASE, Split(SplitMode.ENDPOINTS, shares)),))
    pinned = Split(SplitMode.WEIGHTS, (Share("c1", 1), Share("c2")), failover=False)
    plan = plan_of(services, backend, own=pinned, balance=BY_CLIENT)
    describe(services, {CANARY: {"c1": [11], "c2": [12]}, BASE: {"c1": [1], "c2": [2]}})
    assert order(plan, b"x") == [11, 1, 2]
    for endpoint in services.get(CANARY).endpoints():
        fail(services, endpoint)
    assert order(plan, b"x") == [1, 2, 11]
    describe(services, {CANARY: {}, BASE: {"c2": [2]}})
    assert order(plan, b"x") == [2]


def test_where_there_is_no_room_the_next_cluster(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), balance=BY_CLIENT)
    describe(services, {BASE: {"c1": [1, 2, 3], "c2": [4]}})
    choice = plan.pick_for(CLIENTS[0], LINE, HEADERS)
    assert choice is not None
    one = choice.first()
    assert one is not None
    other = choice.following([one], attempts=1, stay=False)
    assert other is not None
    assert other.cluster != one.cluster


REQUEST = (
    parse_request_line(b"GET /a/b?user=u1&x=2 HTTP/1.1"),
    parse_headers(b"Host: Shop.example:80\r\nX-Tenant: t1\r\nCookie: a=b; uid=u7\r\n"),
)


@pytest.mark.parametrize(
    ("key", "line", "headers"),
    [
        (HashKey(HashSource.URI), b"/a/b?user=u1&x=3", b""),
        (HashKey(HashSource.HOST), b"", b"Host: other.example\r\n"),
        (HashKey(HashSource.HEADER, "x-tenant"), b"", b"Host: Shop.example:80\r\nX-Tenant: t2\r\n"),
        (HashKey(HashSource.QUERY, "user"), b"/a/b?user=u2&x=2", b""),
        (HashKey(HashSource.COOKIE, "uid"), b"", b"Host: Shop.example:80\r\nCookie: a=b; uid=u8\r\n"),
    ],
)
def test_each_source_of_a_key_alone_decides(
    services: Services, key: HashKey, line: bytes, headers: bytes
) -> None:
    plan = plan_of(services, Backend(BASE), own=split(), balance=Balance(Algorithm.HASH, key))
    describe(services, {BASE: {"c1": list(range(1, 500))}})
    other_line = parse_request_line(b"GET %b HTTP/1.1" % (line or b"/a/b?user=u1&x=2"))
    other_headers = parse_headers(headers) if headers else REQUEST[1]

    def port(client: bytes, line: RequestLine, headers: RequestHeaders) -> int:
        choice = plan.pick_for(client, line, headers)
        assert choice is not None
        endpoint = choice.first()
        assert endpoint is not None
        return endpoint.port

    assert port(b"1", *REQUEST) == port(b"2", *REQUEST)
    assert port(b"1", *REQUEST) != port(b"1", other_line, other_headers)


def test_without_a_key_requests_are_balanced(services: Services) -> None:
    by_header = Balance(Algorithm.HASH, HashKey(HashSource.HEADER, "x-tenant"))
    plan = plan_of(services, Backend(BASE), own=split({"c1": 20, "c2": 80}), balance=by_header)
    describe(services, {BASE: {"c1": [1], "c2": [2]}})
    assert Counter(first(plan, b"x").port for _ in range(100)) == {1: 20, 2: 80}


@given(st.binary(max_size=20), st.lists(st.text(max_size=5), min_size=2, max_size=12, unique=True))
def test_the_order_of_the_others_does_not_depend_on_the_one_that_leaves(key: bytes, names: list[str]) -> None:
    number = number_of(key)
    seeds = [seed_of(opaque_id(name)) for name in names]
    winner = best_of_equals(number, seeds)
    assert best(number, seeds, [7] * len(seeds)) == winner
    for gone in range(len(seeds)):
        if gone != winner:
            left = seeds[:gone] + seeds[gone + 1 :]
            assert left[best_of_equals(number, left)] == seeds[winner]


def test_names_of_different_lengths_are_told_apart() -> None:
    assert opaque_id("a", "bc") != opaque_id("ab", "c")
    assert len(opaque_id("demo/web:80", "c1", "10.0.0.1", "8080")) == 16


def test_a_key_of_several_parts_tells_their_ends_apart() -> None:
    key = HashKey(HashSource.HEADER, "x-a", (HashKey(HashSource.HEADER, "x-b"),))
    reader = KeyReader(key)

    def read(fields: bytes) -> bytes:
        return reader.read(b"::1", LINE, parse_headers(b"Host: a\r\n" + fields))

    assert read(b"X-A: ab\r\nX-B: c\r\n") != read(b"X-A: a\r\nX-B: bc\r\n")
    assert read(b"X-B: c\r\n") != read(b"X-A: c\r\n")
    assert read(b"") == b""
    path = KeyReader(HashKey(HashSource.PATH, then=(HashKey(HashSource.HOST),)))
    assert path.read(b"::1", LINE, HEADERS) == b"/a/b\0shop.example"


def test_a_list_is_the_same_key_in_any_lines() -> None:
    reader = KeyReader(HashKey(HashSource.HEADER, "x-a"))
    spelled = (b"X-A: a\r\nX-A: b\r\n", b"X-A: a, b\r\n", b"X-A: a,b\r\n")
    keys = {reader.read(b"::1", LINE, parse_headers(b"Host: a\r\n" + fields)) for fields in spelled}
    assert len(keys) == 1
