"""What each condition looks at, and that a remembered route is right for every other request."""

from time import process_time
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
    TextKind,
)
from proxy.routing.match import RouteError
from proxy.routing.networks import Networks
from proxy.routing.parameters import MAX_VALUES, CookieName, ParameterName
from tests.support.asking import Headers, find_in
from tests.support.snapshots import route
from tests.support.tables import table_of

PORT = 80


def holds(condition: Condition, headers: Headers | None = None, *, host: str = "a", **asked: str) -> bool:
    table = table_of([route(PORT, conditions=(condition,))])
    return find_in(table, PORT, host, "/", headers or Headers(), **asked) is not None


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        (["stage=gray"], True),
        (["a=1; stage=gray; b=2"], True),
        (["a=1;stage=gray"], True),
        (["a=1; stage=gray "], True),
        (["a=1", "stage=gray"], True),
        (['stage="gray"'], True),
        (["stage=blue; stage=gray"], True),
        (["stage=gray=1"], False),
        (["xstage=gray"], False),
        (["Stage=gray"], False),
        (["stage"], False),
        (["a=stage=gray"], False),
        (['a="; stage=gray; b="'], True),  # browsers end a cookie at any semicolon
        (['stage=gray"'], False),
        (['stage="'], False),
        ([], False),
    ],
)
def test_cookies(fields: list[str], matches: bool) -> None:
    assert holds(CookieCondition((("stage", "gray"),)), Headers(cookie=fields)) == matches


def test_any_pair_of_cookies_is_enough() -> None:
    condition = CookieCondition((("a", "1"), ("b", "2*"), ("a", "3")))
    assert [holds(condition, Headers(cookie=c)) for c in ("a=1", "b=22", "a=3", "a=2", "b=1")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("stage=gray", True),
        ("a=1&stage=gray&b=2", True),
        ("%73tage=gr%61y", True),
        ("%73%54age=gray", False),
        ("stage=blue&stage=gray", True),
        ("stage=gray&", True),
        ("xstage=gray", False),
        ("stagex=gray", False),
        ("Stage=gray", False),
        ("stage", False),
        ("a=b?stage=gray", False),
        ("a=%26stage=gray", False),
        ("stage%3Dgray", False),
        ("stage=gray%26", False),
        ("", False),
    ],
)
def test_queries(query: str, matches: bool) -> None:
    assert holds(QueryCondition((("stage", "gray"),)), query=query) == matches


@pytest.mark.parametrize(
    ("name", "value", "query"),
    [
        ("a b", "c d", "a+b=c+d"),
        ("a b", "c d", "a%20b=c%20d"),
        ("a+b", "c+d", "a%2bb=c%2Bd"),
        ("ü", "ö", "%c3%BC=%C3%b6"),
        ("a", "", "a"),
        ("a", "", "a="),
        ("a&b=", "&=", "a%26b%3d=%26="),
        ("100%", "5%", "100%=5%"),
        ("100%", "%zz", "100%25=%zz"),
        ("a.b", "x", "a.b=x"),
        ("j", "x", "%6a=x"),
        ("j", "x", "%6A=x"),
    ],
)
def test_parameters_are_decoded(name: str, value: str, query: str) -> None:
    assert holds(QueryCondition(((name, value),), TextKind.EXACT), query=query)


@pytest.mark.parametrize(("name", "query"), [("a.b", "axb=x"), ("%41", "%41=x"), ("a+b", "a+b=x")])
def test_other_names_are_others(name: str, query: str) -> None:
    assert not holds(QueryCondition(((name, "*"),)), query=query)


def test_only_so_many_values_are_looked_at() -> None:
    many = b"&".join([b"a=%61"] * 2000)
    assert ParameterName("a").values(b"?" + many) == [b"a"] * MAX_VALUES
    assert ParameterName("b").values(b"?" + many + b"&b=1") == [b"1"]
    assert CookieName("a").values(many.replace(b"&", b"; ")) == [b"%61"] * MAX_VALUES


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=5), st.booleans())
def test_parameters_are_found_as_the_standard_library_finds_them(
    pairs: list[tuple[str, str]], encode_all: bool
) -> None:
    def encoded(text: str) -> str:
        return "".join(f"%{octet:02x}" for octet in text.encode()) if encode_all else quote_plus(text)

    query = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in pairs)
    parsed = parse_qsl(query, keep_blank_values=True)
    assert parsed == pairs
    for name, _ in pairs:
        wanted = [value.encode() for other, value in pairs if other == name]
        assert ParameterName(name).values(b"?" + query.encode()) == wanted


@pytest.mark.parametrize(
    ("method", "matches"), [("GET", True), ("PUT", True), ("HEAD", False), ("get", False)]
)
def test_methods(method: str, matches: bool) -> None:
    assert holds(MethodCondition(("GET", "PUT")), method=method) == matches


@pytest.mark.parametrize(
    ("network", "client", "matches"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "::ffff:11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("0.0.0.0/0", "10.1.2.3", True),
        ("0.0.0.0/0", "::1", False),
        ("::/0", "10.1.2.3", False),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "unknown", False),
        ("0.0.0.0/0", "\xff", False),
    ],
)
def test_sources(network: str, client: str, matches: bool) -> None:
    assert holds(SourceCondition(("192.0.2.7", network)), client=client) == matches
    assert Networks((network,)).covers(client.encode()) == matches


@pytest.mark.parametrize(
    ("condition", "host", "matches"),
    [
        (HostCondition(("*.b",)), "a.b", True),
        (HostCondition(("*.b",)), "c.a.b", True),  # several labels
        (HostCondition(("x", "*.b")), "b", False),
        (HostCondition(("b", "a.b")), "a.b", True),
        (HostCondition(("[ab]+",), TextKind.REGEX), "ab", True),
        (HostCondition(("[ab]+",), TextKind.REGEX), "ab.c", False),
        (HostCondition(("a.",), TextKind.PREFIX), "a.b", True),
    ],
)
def test_hosts(condition: HostCondition, host: str, matches: bool) -> None:
    assert holds(condition, host=host) == matches


def test_all_conditions_of_a_route_must_hold() -> None:
    table = table_of(
        [route(PORT, conditions=(MethodCondition(("GET",)), HeaderCondition("stage", ("gray",))))]
    )
    assert find_in(table, PORT, "a", headers=Headers(stage="gray")) is not None
    assert find_in(table, PORT, "a", headers=Headers(stage="gray"), method="PUT") is None
    assert find_in(table, PORT, "a") is None


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (SourceCondition(("10.0.0.0/33",)), "10.0.0.0/33"),
        (SourceCondition(("office",)), "office"),
        (HeaderCondition("a", ("(",), TextKind.REGEX), r"missing \)"),
        (CookieCondition((("a", r"(.)\1"),), TextKind.REGEX), "back-references"),
        (QueryCondition((("a", "a(?!b)"),), TextKind.REGEX), "look-around"),
        (HostCondition(("[",), TextKind.REGEX), r"missing \]"),
    ],
)
def test_a_condition_that_cannot_be_used_names_its_route(condition: Condition, reason: str) -> None:
    with pytest.raises(RouteError, match=f"route demo/ing/: {type(condition).__name__}.*{reason}"):
        table_of([route(PORT, conditions=(condition,))])


PARTICULAR = [
    (MethodCondition(("PUT",)), {"method": "PUT"}, {"method": "GET"}),
    (QueryCondition((("a", "1"),)), {"query": "a=1"}, {"query": ""}),
    (SourceCondition(("10.0.0.0/8",)), {"client": "10.1.1.1"}, {"client": "11.1.1.1"}),
]
"""Conditions, a request that they hold for and one that they do not."""


@pytest.mark.parametrize(("condition", "held", "other"), PARTICULAR)
@pytest.mark.parametrize("has_rest", [True, False])
def test_a_route_found_by_more_than_the_fields_is_not_remembered_for_others(
    condition: Condition, held: dict[str, str], other: dict[str, str], has_rest: bool
) -> None:
    rest = [route(PORT, name="rest")] if has_rest else []
    table = table_of([route(PORT, conditions=(condition,), name="one"), *rest])
    fields = Headers(is_remembered=True)
    for _ in range(2):
        assert find_in(table, PORT, "a", headers=fields, **held) == "demo/one/"
        assert find_in(table, PORT, "a", headers=fields, **other) == ("demo/rest/" if has_rest else None)


def test_a_decision_by_the_fields_is_remembered() -> None:
    """A header that does not match spares the look at the method, wherever it stands."""

    class Counting(Headers):
        looked_up = 0

        def values(self, name: bytes) -> tuple[bytes, ...]:
            Counting.looked_up += 1
            return super().values(name)

    conditions = (MethodCondition(("GET",)), HeaderCondition("stage", ("gray",)))
    table = table_of([route(PORT, conditions=conditions, name="one"), route(PORT, name="rest")])
    fields = Counting(is_remembered=True, stage="blue")
    assert [find_in(table, PORT, "a", headers=fields) for _ in range(3)] == ["demo/rest/"] * 3
    assert Counting.looked_up == 1


LISTED = [
    (["red"], True),
    (["red", "gray"], True),
    (["red, gray"], True),
    (["blue,\tgray ,red"], True),
    (["blue", "green,gray"], True),
    ([",, gray,"], True),
    (['"a, gray, b", gray'], True),
    (['"a, gray, b"'], False),
    (['"a\\", gray, b"'], False),
    (['"a, gray'], False),
    (["redgray"], False),
    (["red gray"], False),
    ([""], False),
    ([], False),
]


@pytest.mark.parametrize("kind", [TextKind.GLOB, TextKind.EXACT, TextKind.REGEX])
@pytest.mark.parametrize(("fields", "matches"), LISTED)
def test_members_of_a_line_count_as_lines(kind: TextKind, fields: list[str], matches: bool) -> None:
    condition = HeaderCondition("stage", ("red", "gray"), kind)
    assert holds(condition, Headers(stage=fields)) == matches


@given(st.lists(st.sampled_from(["red", "gray", "blue", '"a, b"']), min_size=1, max_size=6), st.data())
def test_a_list_is_the_same_in_any_lines(listed: list[str], data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(1, len(listed)), max_size=3).map(sorted))
    starts = [0, *cuts]
    lines = [", ".join(listed[i:j]) for i, j in zip(starts, [*cuts, len(listed)], strict=True) if i < j]
    for pattern in ("red", "red, gray", "*blue", '"a, b"', "red, gray, blue*"):
        condition = HeaderCondition("stage", (pattern,))
        apart, together = Headers(stage=listed), Headers(stage=[", ".join(listed)])
        expected = holds(condition, together)
        assert holds(condition, apart) == holds(condition, Headers(stage=lines)) == expected


@pytest.mark.parametrize(
    ("name", "value", "pattern"),
    [
        ("user-agent", "Mozilla/5.0 (KHTML, like Gecko)", "like Gecko)"),
        ("if-modified-since", "Mon, 30 Nov 2026 16:00:00 GMT", "Mon"),
        ("authorization", 'Digest username="a", realm="b"', 'realm="b"'),
        ("cookie", "a=1, b=2", "b=2"),
    ],
)
def test_commas_of_fields_that_are_no_lists_separate_nothing(name: str, value: str, pattern: str) -> None:
    fields: dict[str, Any] = {name: value}
    assert not holds(HeaderCondition(name, (pattern,)), Headers(**fields))
    assert holds(HeaderCondition(name, (value,)), Headers(**fields))


def test_quotes_that_are_not_closed_cost_no_more_than_their_length() -> None:
    hostile = '"a\\' * 20_000
    started = process_time()
    assert not holds(HeaderCondition("stage", ("red",)), Headers(stage=[hostile]))
    assert process_time() - started < 1.0
