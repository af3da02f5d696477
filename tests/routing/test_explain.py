"""The explanation says what the table does, and why."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

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
from proxy.model.snapshot import PathKind, PathMatch, Route, tenant_of
from proxy.routing.contest import Precedence
from proxy.routing.explain import Difference, Inquiry, Part, RouteVerdict, explain
from proxy.routing.rank import party, place, rank, standing
from proxy.routing.table import RouteTable
from tests.support.asking import Headers, find_in
from tests.support.snapshots import route
from tests.support.tables import table_of

PORT = 80
EXAMPLES = 800
REQUESTS = 5  # per table: generating is what takes time
STAGE = HeaderCondition("stage", ("gray",))

PATTERNS = {
    TextKind.GLOB: ("a", "a*", "?", "*b", "*"),
    TextKind.EXACT: ("a", "a b", "a*"),
    TextKind.PREFIX: ("a", "ab", ""),
    TextKind.REGEX: ("a+", "(a|b)+", "(?i)a", ".*"),
}
PAIRS = [(kind, (("x", one), ("y", other))) for kind, ps in PATTERNS.items() for one in ps for other in ps]
CONDITIONS: list[Condition] = [
    *(
        HeaderCondition("x", patterns[:count], kind)
        for kind, patterns in PATTERNS.items()
        for count in (1, 2)
    ),
    *(CookieCondition(pairs[:count], kind) for kind, pairs in PAIRS for count in (1, 2)),
    *(QueryCondition(pairs[:count], kind) for kind, pairs in PAIRS for count in (1, 2)),
]
OTHER_CONDITIONS: list[Condition] = [
    *(HostCondition(patterns) for patterns in (("a.b",), ("*.b", "b"), ("?.*",))),
    HostCondition(("[ab.]+",), TextKind.REGEX),
    *(MethodCondition(methods) for methods in (("GET",), ("PUT",), ("GET", "PUT"))),
    *(
        SourceCondition(networks)
        for networks in (("10.0.0.0/8",), ("10.1.1.1", "2001:db8::/32"), ("0.0.0.0/0",))
    ),
]
PATHS = [
    *(PathMatch(kind, p) for kind in (PathKind.EXACT, PathKind.PREFIX) for p in ("/", "/a", "/a/", "/a/b")),
    *(PathMatch(PathKind.GLOB, p, i) for p in ("/a*", "/*", "/a?b", "/?") for i in (False, True)),
    *(PathMatch(PathKind.REGEX, p, i) for p in ("/a.*", "/[ab]", "/a/b$", "/(a|b)+") for i in (False, True)),
]
TEMPLATES = [
    replace(route(80, order=order, priority=priority, name=name, created=created), ports=ports)
    for order in (10, 10, 1)
    for priority in (0, 0, 5)
    for name in ("one", "two")
    for created in ("", "2024-01-01T00:00:00Z")
    for ports in ((80,), (81,), (80, 81))
]
TEXTS = st.sampled_from(["a", "ab", "A", "a b", "aab", ""])
FIELDS = st.lists(st.tuples(st.sampled_from(["x", "y"]), TEXTS), max_size=2)
SOME_CONDITIONS = st.lists(st.sampled_from(CONDITIONS) | st.sampled_from(OTHER_CONDITIONS), max_size=2)


@st.composite
def tables(draw: st.DrawFn) -> list[Route]:
    return [
        replace(
            draw(st.sampled_from(TEMPLATES)),
            id=f"{number}",
            host=draw(st.sampled_from(["", "a.b", "c.a.b", "b", "*.b", "*.a.b"])),
            path=draw(st.sampled_from(PATHS)),
            conditions=tuple(draw(SOME_CONDITIONS)),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@st.composite
def requests(draw: st.DrawFn) -> Inquiry:
    cookie = "; ".join(f"{name}={value}" for name, value in draw(FIELDS))
    return Inquiry(
        port=draw(st.sampled_from([80, 81])),
        host=draw(st.sampled_from(["a.b", "c.a.b", "b", ".b", "x.y"])),
        path=draw(st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/A", "/a/b/c"])),
        method=draw(st.sampled_from(["GET", "PUT"])),
        query="&".join(f"{name}={value.replace(' ', '+')}" for name, value in draw(FIELDS)),
        headers=(*draw(FIELDS), *([("Cookie", cookie)] if cookie else [])),
        client=draw(st.sampled_from(["10.1.1.1", "10.2.2.2", "2001:db8::1", "::ffff:10.1.1.1"])),
    )


OWNERS = {"": "one", "a.b": "two", "c.a.b": "three", "b": "one", "*.b": "two", "*.a.b": "one"}
NAMESPACES = st.sampled_from(["one", "two", "three"])


@st.composite
def shared_tables(draw: st.DrawFn) -> list[Route]:
    """Return rules of several namespaces on few hosts and paths, so that they meet."""
    return [
        replace(
            wanted,
            source=replace(wanted.source, namespace=draw(NAMESPACES)),
            created=draw(st.sampled_from(["2024", "2025", "2026"])),
            tenant=draw(st.sampled_from(["", "", "", "one", "two", "three"])),
            alias=draw(st.booleans()) and wanted.host != "",
            order=draw(st.sampled_from([1, 10, 10, 1010])) if not wanted.host else wanted.order,
        )
        for wanted in draw(tables())
    ]


SEVERAL_REQUESTS = st.lists(requests(), min_size=REQUESTS, max_size=REQUESTS)


def headers_of(asked: Inquiry, *, is_remembered: bool = False) -> Headers:
    fields: dict[str, list[str]] = {}
    for name, value in asked.headers:
        fields.setdefault(name.lower(), []).append(value)
    return Headers(is_remembered=is_remembered, **fields)


def found_by(table: RouteTable[str], asked: Inquiry, headers: Headers) -> str | None:
    found: str | None = find_in(
        table, asked.port, asked.host, asked.path, headers,
        method=asked.method, query=asked.query, client=asked.client,
    )  # fmt: skip
    return found


@settings(max_examples=EXAMPLES)
@given(tables(), SEVERAL_REQUESTS)
def test_the_explanation_chooses_what_the_table_finds(wanted: list[Route], several: list[Inquiry]) -> None:
    """All that match, in their order: what comes second is what the table finds without the first."""
    for asked in several:
        considered = explain(wanted, asked).considered
        assert {each.route.id for each in considered} == {each.id for each in wanted}
        remaining = list(wanted)
        for each in considered:
            if each.verdict is not RouteVerdict.MISSED:
                assert found_by(table_of(remaining), asked, headers_of(asked)) == each.route.id
                remaining.remove(each.route)
        assert found_by(table_of(remaining), asked, headers_of(asked)) is None
        assert [each.route for each in considered if each.differences] == [
            each.route for each in considered if each.route in remaining
        ]


@settings(max_examples=EXAMPLES // 3)
@given(shared_tables(), SEVERAL_REQUESTS, st.booleans())
def test_table_and_explanation_choose_the_same_among_namespaces(
    wanted: list[Route], several: list[Inquiry], owned: bool
) -> None:
    if owned:  # the translation has refused the others
        wanted = [replace(each, tenant=OWNERS[each.host]) for each in wanted]
    table = table_of(wanted, owned=owned)
    for asked in several:
        chosen = explain(wanted, asked, owned=owned).chosen
        assert found_by(table, asked, headers_of(asked)) == (chosen.route.id if chosen else None)


@settings(max_examples=EXAMPLES // 3)
@given(shared_tables(), SEVERAL_REQUESTS)
def test_the_first_matches_of_all_namespaces_contend(wanted: list[Route], several: list[Inquiry]) -> None:
    """Said as in the decisions about precedence, without the table and the contest."""
    for asked in several:
        matching = [each.route for each in explain(wanted, asked).considered if not each.differences]
        parties = {party(each) for each in matching}
        firsts = [min((e for e in matching if party(e) == each), key=rank) for each in sorted(parties)]

        def since(first: Route, asked: Inquiry = asked) -> str:
            there = (e for e in wanted if asked.port in e.ports and place(e) == place(first))
            return min(e.created for e in there if tenant_of(e) == tenant_of(first))

        best = min((standing(first, since(first)) for first in firsts), default=None)
        chosen = explain(wanted, asked).chosen
        if chosen is None:
            assert best is None
        else:
            assert standing(chosen.route, since(chosen.route)) == best
            assert rank(chosen.route) == min(rank(e) for e in firsts if party(e) == party(chosen.route))


@settings(max_examples=EXAMPLES // 3)
@given(tables(), SEVERAL_REQUESTS)
def test_the_remembered_route_is_the_one_that_is_found(wanted: list[Route], several: list[Inquiry]) -> None:
    """Requests that share only their header block, which has the host, too."""
    first, *others = several
    same = [
        first,
        *(msgspec.structs.replace(each, host=first.host, headers=first.headers) for each in others),
    ]
    table, fresh = table_of(wanted), table_of(wanted)
    remembered, new = headers_of(first, is_remembered=True), headers_of(first)
    for asked in same + same:
        assert found_by(table, asked, remembered) == found_by(fresh, asked, new)


@pytest.mark.parametrize(
    ("winner", "loser", "rule"),
    [
        ({"order": 1, "path": "/"}, {"host": "x.y.z"}, Precedence.ORDER),
        ({"host": "x.y.z", "path": "/"}, {"host": "*.y.z"}, Precedence.HOST),
        ({"host": "*.y.z", "path": "/"}, {}, Precedence.HOST),
        ({"kind": PathKind.EXACT}, {"priority": 9}, Precedence.PATH_KIND),
        ({}, {"path": "/a.*", "kind": PathKind.REGEX}, Precedence.PATH_KIND),
        ({"path": "/a.*", "kind": PathKind.REGEX}, {"path": "/", "priority": 9}, Precedence.PATH_KIND),
        ({}, {"path": "/", "priority": 9}, Precedence.PATH_LENGTH),
        (
            {"path": "/a*", "kind": PathKind.GLOB},
            {"path": "/*", "kind": PathKind.GLOB},
            Precedence.PATH_LENGTH,
        ),
        ({"priority": 1}, {"conditions": (STAGE,)}, Precedence.PRIORITY),
        ({"conditions": (STAGE,), "created": "2"}, {"created": "1"}, Precedence.CONDITIONS),
        ({"created": "1", "name": "z"}, {"created": "2", "name": "a"}, Precedence.AGE),
        ({"name": "a"}, {"name": "b"}, Precedence.NAME),
    ],
)
def test_the_explanation_names_the_rule_that_a_route_lost_by(
    winner: dict[str, object], loser: dict[str, object], rule: Precedence
) -> None:
    def made(said: dict[str, object], number: str) -> Route:
        return replace(route(PORT, **{"path": "/a", **said}), id=number)  # type: ignore[arg-type]

    wanted = [made(loser, "loser"), made(winner, "winner")]
    first, second = explain(wanted, Inquiry(PORT, "x.y.z", "/a", headers=(("Stage", "gray"),))).considered
    assert (first.route.id, first.verdict, first.lost_by) == ("winner", RouteVerdict.CHOSEN, None)
    assert (second.route.id, second.verdict, second.lost_by) == ("loser", RouteVerdict.LOST, rule)
    assert rank(first.route) < rank(second.route)


def test_thousands_of_misses_come_nearest_first() -> None:
    """More than are sorted in one step."""
    missed = [route(PORT, "/" + "x" * (number * 7 % 2500), name=f"r{number}") for number in range(2500)]
    considered = explain(missed, Inquiry(PORT, "x.y.z", "/" + "x" * 2500, headers=())).considered
    matching = [each for each in considered if each.verdict is not RouteVerdict.MISSED]
    assert len(matching) == 1
    lengths = [len(each.route.path.value) for each in considered[1:]]
    assert lengths == sorted(lengths, reverse=True)
    nearest = explain(missed, Inquiry(PORT, "x.y.z", "/" + "x" * 2500, headers=()), 3)
    assert (nearest.considered, nearest.left) == (considered[:4], 2496)


def differences(wanted: Route, asked: Inquiry) -> tuple[Difference, ...]:
    explanation = explain([wanted], asked)
    assert explanation.chosen is None
    return explanation.considered[0].differences


def test_differences_of_port_host_path_and_conditions_are_told() -> None:
    condition = CookieCondition((("stage", "gray"),))
    wanted = route(81, "/b", host="x.y", conditions=(condition,))
    asked = Inquiry(PORT, "X.Z", "/a", headers=(("Cookie", "stage=blue; a=1"), ("cookie", "stage=green")))
    assert differences(wanted, asked) == (
        Difference(Part.PORT, "81", ("80",)),
        Difference(Part.HOST, "x.y", ("X.Z",)),
        Difference(Part.PATH, "/b", ("/a",)),
        Difference(Part.CONDITION, condition, ("stage=blue", "stage=green")),
    )


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (STAGE, ("blue", "green")),
        (QueryCondition((("a", "1"), ("b", "1"))), ("a=2 3", "b=")),
        (MethodCondition(("PUT",)), ("GET",)),
        (SourceCondition(("10.0.0.0/8",)), ("192.0.2.9",)),
        (HostCondition(("x.*",)), ("a.b",)),
    ],
)
def test_a_failed_condition_tells_the_values_found_instead(
    condition: Condition, found: tuple[str, ...]
) -> None:
    asked = Inquiry(
        PORT, "A.b", query="b&a=2+3", headers=(("Stage", "blue"), ("stage", "green")), client="192.0.2.9"
    )
    assert differences(route(PORT, conditions=(condition,)), asked) == (
        Difference(Part.CONDITION, condition, found),
    )


def test_the_nearest_miss_needs_the_least() -> None:
    asked = Inquiry(PORT, "a.b", "/shop/cart")
    by_distance = [
        route(PORT, "/shop", host="a.b", conditions=(STAGE,), name="a condition"),
        route(PORT, "/", host="a.b", conditions=(STAGE, MethodCondition(("PUT",))), name="two conditions"),
        route(81, "/shop", host="a.b", name="the port"),
        route(PORT, "/shop/carts", host="a.b", name="the end of the path"),
        route(PORT, "/blog", host="a.b", name="the path"),
        route(PORT, "/shop", host="b.b", name="the host"),
        route(81, "/blog", host="a.b", name="port and path"),
        route(81, "/blog", host="b.b", name="everything"),
    ]
    for start in range(len(by_distance)):
        explanation = explain(reversed(by_distance[start:]), asked)
        assert [each.route.source.name for each in explanation.considered] == [
            each.source.name for each in by_distance[start:]
        ]


def test_without_routes_there_is_neither_a_choice_nor_a_miss() -> None:
    explanation = explain([], Inquiry(PORT))
    assert explanation.chosen is None
    assert explanation.considered == ()


def test_octets_that_are_no_utf8_are_taken_as_they_come() -> None:
    asked = Inquiry(PORT, "\udcff", "/\udcff", "\udcff", "\udcff", (("stage", "\udcff"),), "\udcff")
    wanted = route(PORT, conditions=(STAGE, QueryCondition((("\xff", "*"),)), MethodCondition(("GET",))))
    found = [difference.found for difference in differences(wanted, asked)]
    assert found == [("\ufffd",), (), ("\ufffd",)]
