"""Sessions by cookies: who is named, when that holds, and what client and endpoint get to see."""

import pytest

from proxy.http.request_headers import RequestHeaders, parse_headers
from proxy.http.response import parse_response_head
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
    Sticky,
    StickyMode,
)
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.algorithms.hashing import opaque_id
from proxy.upstream.balancing.choice import Choice
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services
from tests.support.endpoints import fail
from tests.support.snapshots import split
from tests.upstream.test_backends import BASE, CANARY, describe, plan_of
from tests.upstream.test_keyed import LINE

INSERT = Balance(sticky=Sticky("SRV", max_age_s=60, path="/app"))
REWRITE = Balance(sticky=Sticky("sid", StickyMode.REWRITE))
HEAD = parse_response_head(
    b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nset-cookie: sid=s1; Path=/\r\n"
)


def with_cookies(*cookies: bytes) -> RequestHeaders:
    return parse_headers(b"Host: a\r\nAccept: sid=x\r\n" + b"".join(b"Cookie: %b\r\n" % c for c in cookies))


def choose(plan: RoutePlan, *cookies: bytes) -> Choice:
    choice = plan.pick_for(b"::1", LINE, with_cookies(*cookies))
    assert choice is not None
    return choice


def port(choice: Choice) -> int:
    endpoint = choice.first()
    return endpoint.port if endpoint is not None else 0


def id_of(services: Services, number: int) -> bytes:
    (found,) = [e for s in services.all() for e in s.endpoints() if e.port == number]
    return found.session_name()


@pytest.fixture
def services() -> Services:
    found = Services()
    describe(found, {BASE: {"c1": [1, 2], "c2": [3, 4]}, CANARY: {"c1": [11]}})
    return found


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_named_endpoint_serves(services: Services, number: int) -> None:
    plan = plan_of(services, Backend(BASE), balance=INSERT)
    cookie = b"a=b; SRV=" + id_of(services, number)
    assert {port(choose(plan, cookie)) for _ in range(10)} == {number}
    assert {port(choose(plan, b"SRV=bad", cookie)) for _ in range(10)} == {number}


@pytest.mark.parametrize("cookie", [b"x=y", b"SRV=", b"SRV=0123456789abcdef", b"SRV=\xff"])
def test_a_cookie_that_names_no_endpoint_is_balanced(services: Services, cookie: bytes) -> None:
    plan = plan_of(services, Backend(BASE), balance=INSERT)
    assert {port(choose(plan, cookie)) for _ in range(20)} == {1, 2, 3, 4}


def test_draining_endpoints_keep_their_sessions_while_ejected_and_forbidden_ones_do_not(
    services: Services,
) -> None:
    pinned = split({"c1": 1})
    plan, local = (plan_of(services, Backend(BASE), own=own, balance=INSERT) for own in (None, pinned))
    cookie = b"SRV=" + id_of(services, 3)
    assert port(choose(local, cookie)) in (1, 2)
    pods = (Endpoint("::1", 3, draining=True), Endpoint("::1", 4))
    services.change(
        Service(BASE, (ClusterEndpoints("c1", (Endpoint("::1", 1),)), ClusterEndpoints("c2", pods)))
    )
    assert {port(choose(plan, cookie)) for _ in range(10)} == {3}
    first = choose(plan, cookie).first()
    assert first is not None
    fail(services, first)
    assert {port(choose(plan, cookie)) for _ in range(10)} == {1, 4}


def test_a_failed_request_leaves_its_session(services: Services) -> None:
    choice = choose(plan_of(services, Backend(BASE), balance=INSERT), b"SRV=" + id_of(services, 3))
    first = choice.first()
    assert first is not None
    other = choice.following([first], attempts=1, stay=True)
    assert other is not None
    assert other.port == 4


def test_a_session_with_the_fallback_ends_when_the_backend_is_back(services: Services) -> None:
    plan = plan_of(services, Backend(CANARY, fallbacks=(Destination(BASE),)), balance=INSERT)
    cookie = b"SRV=" + id_of(services, 3)
    assert port(choose(plan, cookie)) == 11
    describe(services, {CANARY: {}})
    assert {port(choose(plan, cookie)) for _ in range(10)} == {3}


def test_a_session_may_be_with_any_backend_that_has_a_weight(services: Services) -> None:
    plan = plan_of(services, Backend(BASE, 99), Backend(CANARY, 1), balance=INSERT)
    off = plan_of(services, Backend(BASE, 100), Backend(CANARY, 0), balance=INSERT)
    cookie = b"SRV=" + id_of(services, 11)
    assert {port(choose(plan, cookie)) for _ in range(10)} == {11}
    assert port(choose(off, cookie)) != 11


def test_a_request_without_a_session_may_be_hashed(services: Services) -> None:
    key = HashKey(HashSource.CLIENT)
    plan = plan_of(services, Backend(BASE), balance=Balance(Algorithm.HASH, key, Sticky("SRV")))
    assert len({port(choose(plan)) for _ in range(10)}) == 1
    assert {port(choose(plan, b"SRV=" + id_of(services, n))) for n in (1, 2, 3)} == {1, 2, 3}


def test_insert_sets_a_cookie_unless_the_client_has_it(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), balance=INSERT)
    assert plan.sticky is not None
    choice = choose(plan)
    endpoint = choice.first()
    assert endpoint is not None
    line = b"Set-Cookie: SRV=%b; Path=/app; Max-Age=60; HttpOnly\r\n" % endpoint.session_name()
    marked = plan.sticky.marked(HEAD, choice, endpoint)
    assert marked.start == HEAD.start + line
    assert marked.whole == HEAD.start + line + b"Content-Length: 2\r\n\r\n"
    assert (marked.status, marked.length, marked.dated, marked.body_bytes) == (200, 2, True, 2)
    session = choose(plan, b"SRV=" + endpoint.session_name())
    assert plan.sticky.marked(HEAD, session, endpoint) is HEAD
    other = session.following([endpoint], attempts=1, stay=True)
    assert other is not None
    assert other.session_name() in plan.sticky.marked(HEAD, session, other).start


def test_the_cookie_tells_no_address(services: Services) -> None:
    assert b"::1" not in id_of(services, 1)
    assert id_of(services, 1) != id_of(services, 2)


def test_rewrite_puts_the_endpoint_into_its_own_cookie_and_takes_it_out(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), balance=REWRITE)
    assert plan.sticky is not None
    name = id_of(services, 3)
    choice = choose(plan, b'a=b; sid="%b~s1"' % name)
    endpoint = choice.first()
    assert endpoint is not None
    assert endpoint.port == 3
    marked = plan.sticky.marked(HEAD, choice, endpoint)
    assert b"set-cookie: sid=%b~s1; Path=/\r\n" % name in marked.start
    headers = with_cookies(b"a=%b~1; sid=%b~s1; xsid=%b~2" % (name, name, name), b"sid=plain")
    forward = plan.sticky.stripped(headers).forward
    assert b"Cookie: a=%b~1; sid=s1; xsid=%b~2\r\nCookie: sid=plain\r\n" % (name, name) in forward
    assert plan.sticky.stripped(with_cookies(b"sid=plain")).forward == with_cookies(b"sid=plain").forward


def test_rewrite_leaves_other_responses_alone(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), balance=REWRITE)
    assert plan.sticky is not None
    endpoint = choose(plan).first()
    assert endpoint is not None
    plain = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: xsid=1\r\nX: sid=2\r\n")
    assert plan.sticky.marked(plain, None, endpoint) is plain


def test_a_cookie_cannot_be_computed_without_the_key(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), balance=INSERT)
    guessed = opaque_id(BASE, "c2", "::1", "3")
    assert {port(choose(plan, b"SRV=" + guessed)) for _ in range(20)} == {1, 2, 3, 4}
    other = Services()
    describe(other, {BASE: {"c2": [3]}})
    assert id_of(services, 3) != id_of(other, 3)


def test_workers_and_replicas_with_the_same_key_agree(services: Services) -> None:
    plan = plan_of(services, Backend(BASE), balance=INSERT)
    before = id_of(services, 3)
    assert port(choose(plan, b"SRV=" + before)) == 3
    services.session_key.use(b"k" * 32)
    assert {port(choose(plan, b"SRV=" + before)) for _ in range(20)} == {1, 2, 3, 4}
    other = Services()
    describe(other, {BASE: {"c2": [3]}})
    other.session_key.use(b"k" * 32)
    assert id_of(services, 3) == id_of(other, 3)
    assert {port(choose(plan, b"SRV=" + id_of(other, 3))) for _ in range(10)} == {3}


@pytest.mark.parametrize(
    "own",
    [
        Split(SplitMode.WEIGHTS, (Share("c1", 100), Share("c2", 0))),
        Split(SplitMode.ENDPOINTS, (Share("c1"), Share("c2", priority=1))),
    ],
    ids=["standby", "later level"],
)
def test_a_cookie_is_no_way_into_a_cluster_that_stands_by(services: Services, own: Split) -> None:
    plan = plan_of(services, Backend(BASE), own=own, balance=INSERT)
    cookie = b"SRV=" + id_of(services, 3)
    assert {port(choose(plan, cookie)) for _ in range(10)} == {1, 2}
    describe(services, {BASE: {"c2": [3, 4]}})
    assert {port(choose(plan, cookie)) for _ in range(10)} == {3}
    describe(services, {BASE: {"c1": [1, 2], "c2": [3, 4]}})
    assert {port(choose(plan, cookie)) for _ in range(10)} == {1, 2}
