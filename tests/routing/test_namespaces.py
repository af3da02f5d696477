"""Rules of several namespaces: whose is taken."""

from typing import Any

import pytest
from msgspec.structs import replace

from proxy.model.conditions import HeaderCondition, MethodCondition
from proxy.model.snapshot import PathKind, Route, Source
from tests.support.asking import Headers, find_in
from tests.support.snapshots import route
from tests.support.tables import table_of

PORT = 80
OLD, YOUNG = "2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z"


def of(namespace: str, path: str = "/", *, ident: str = "", **said: Any) -> Route:
    """Return a rule of `a`, which is old, or `b`, which is young, with its namespace as id."""
    alias = said.pop("alias", False)
    created = said.pop("created", OLD if namespace == "a" else YOUNG)
    made = route(PORT, path, created=created, **said)
    return replace(made, id=ident or namespace, source=Source("Ingress", namespace, "web"), alias=alias)


def found(routes: list[Route], host: str, path: str = "/", *, owned: bool = False, **headers: Any) -> Any:
    either = {
        find_in(table_of(order, owned=owned), PORT, host, path, Headers(**headers))
        for order in (routes, routes[::-1])
    }
    (answer,) = either  # whatever the order in which the table was filled
    return answer


@pytest.mark.parametrize(
    "hostile",
    [
        of("b", order=1),
        of("b", host="*.example.com", order=1),
        of("b", host="a.example.com", order=1),
        of("b", host="a.example.com", conditions=(MethodCondition(("GET",)),)),
        of("b", host="a.example.com", priority=9),
        of("b", host="a.example.com", alias=True, created="2000"),
        of("b", "/*", host="a.example.com", kind=PathKind.GLOB, alias=True),
        of("b", order=1010),
        of("b", "/*", host="a.example.com", kind=PathKind.GLOB),
        of("b", "/.*", host="a.example.com", kind=PathKind.REGEX),
        of("b", "/(x|.*)(padding)?", host="a.example.com", kind=PathKind.REGEX, order=1),
        of("b", "/x|/y", host="a.example.com", kind=PathKind.REGEX),
        of("b", "/x*y?z?|.*", host="a.example.com", kind=PathKind.REGEX),
    ],
    ids=lambda each: f"{each.host or 'any'} {each.path.value} {each.order} {each.priority} {each.alias}",
)
def test_a_route_that_is_no_more_specific_takes_nothing(hostile: Route) -> None:
    victim = of("a", host="a.example.com")
    assert found([victim, hostile], "a.example.com", "/x") == "a"


@pytest.mark.parametrize(
    ("hostile", "kind"),
    [
        ("/.*(aaaaaaaaaaaaaaaaaaaaaaaa)?", PathKind.REGEX),
        ("/ap.*(aaaaaaaaaaaaaaaaaaaaaa)?", PathKind.REGEX),
        ("/api.*(aaaaaaaaaaaaaaaaaaaaa)?", PathKind.REGEX),
        ("/ap*", PathKind.GLOB),
        ("/api*", PathKind.GLOB),
        ("/api", PathKind.PREFIX),
        ("/", PathKind.PREFIX),
    ],
)
@pytest.mark.parametrize("victim", ["/api(/|$)(.*)", "/api/.*"])
@pytest.mark.parametrize("order", [1, 10])
def test_a_pattern_is_as_specific_as_its_beginning(
    hostile: str, kind: PathKind, victim: str, order: int
) -> None:
    """However long it is, and whatever other rules the two namespaces have."""
    rules = [
        of("a", victim, host="a.example.com", kind=PathKind.REGEX),
        of("b", hostile, host="a.example.com", kind=kind, order=order),
    ]
    assert found(rules, "a.example.com", "/api/x") == "a"
    more = [of("a", "/[a-z]{3}/.{1,99}/x", host="a.example.com", kind=PathKind.REGEX, ident="longest of a")]
    assert found([*rules, *more], "a.example.com", "/api/x") == "a"
    assert (
        found(
            [*rules, of("b", "/zzzz", host="a.example.com", created="2000", ident="old")],
            "a.example.com",
            "/api/x",
        )
        == "a"
    )


def test_a_pattern_that_begins_with_more_takes() -> None:
    victim = of("a", host="a.example.com")
    for value, kind in (("/x.*", PathKind.REGEX), ("/x*", PathKind.GLOB)):
        assert found([victim, of("b", value, host="a.example.com", kind=kind)], "a.example.com", "/xy") == "b"


def test_the_order_of_a_namespace_decides_which_of_its_patterns_contends() -> None:
    """The longest by its text, unless it says otherwise, as where there is no other namespace."""
    rules = [
        of("a", "/[x]{1,9}/long", host="a.example.com", kind=PathKind.REGEX, ident="a long"),
        of("a", "/x/.*", host="a.example.com", kind=PathKind.REGEX, ident="a short"),
    ]
    assert found(rules, "a.example.com", "/x/long") == "a long"
    assert (
        found(
            [*rules, of("b", "/x.*", host="a.example.com", kind=PathKind.REGEX)], "a.example.com", "/x/long"
        )
        == "b"
    )
    sooner = [rules[0], replace(rules[1], order=1)]
    other = of("b", "/x.*", host="a.example.com", kind=PathKind.REGEX)
    assert found([*sooner, other], "a.example.com", "/x/long") == "a short"


def test_a_longer_path_and_an_exact_host_take() -> None:
    victim = [of("a", host="a.example.com"), of("a", host="*.example.com", ident="wildcard")]
    assert found([*victim, of("b", "/x", host="a.example.com")], "a.example.com", "/x") == "b"
    assert found([*victim, of("b", host="b.example.com")], "b.example.com") == "b"
    assert found([*victim, of("b", "/x", host="b.example.com")], "b.example.com") == "wildcard"


def test_the_older_of_two_that_are_as_specific_wins_by_its_oldest_rule_there() -> None:
    """A canary is younger than its base; it belongs to those who were there first all the same."""
    base, canary = of("a", ident="base"), of("a", ident="canary", created=YOUNG, priority=6)
    canary = replace(canary, conditions=(HeaderCondition("stage", ("gray",)),))
    other = of("b", created="2025-01-01T00:00:00Z")
    assert found([base, canary, other], "x.example.com") == "base"
    assert found([base, canary, other], "x.example.com", stage="gray") == "canary"
    pattern = {"path": "/*", "kind": PathKind.GLOB}
    longest = of("a", "/s*", kind=PathKind.GLOB, created=YOUNG, ident="young")
    assert found([of("a", **pattern), longest, of("b", **pattern)], "x", "/s") == "young"
    assert found([of("a", **pattern), of("b", **pattern)], "x", "/s") == "a"


def test_an_order_counts_among_the_rules_of_its_namespace() -> None:
    """Its first match contends with the others' by how specific it is."""
    rules = [of("b", order=1, ident="b by order"), of("b", "/x", host="a.example.com", ident="b")]
    assert found(rules, "a.example.com", "/x") == "b by order"
    assert found([*rules, of("a", host="a.example.com")], "a.example.com", "/x") == "a"
    assert found([*rules, of("a", host="*.example.com")], "a.example.com", "/x") == "a"


def test_default_backends_come_after_all_rules_of_all_namespaces() -> None:
    default = of("a", order=1010, ident="default")
    assert found([default, of("b")], "x") == "b"
    assert found([default, of("b", "/y")], "x") == "default"
    assert found([default, of("a", order=1005, ident="sooner")], "x") == "sooner"


@pytest.mark.parametrize("order", [1, 10, 30])
def test_a_host_itself_comes_before_an_alias_whatever_the_ages(order: int) -> None:
    alias = of("a", "/", host="a.example.com", alias=True, created=OLD)
    own = of("a", host="a.example.com", created=YOUNG, ident="own", order=10)
    assert found([alias, own], "a.example.com", "/x") == "own"
    longer = of("a", "/x", host="a.example.com", alias=True, created=OLD)
    assert found([longer, own], "a.example.com", "/x") == "own"
    only = of("a", "/y", host="a.example.com", created=YOUNG, ident="own", order=order)
    assert found([alias, only], "a.example.com", "/x") == "a"
    assert found([alias, of("a", host="*.example.com", ident="wildcard")], "a.example.com", "/x") == "a"


def test_paths_that_an_owned_host_does_not_answer_go_to_no_other_namespace() -> None:
    rules = [of("a", "/only", host="a.example.com"), of("a", "/only", host="*.apps.example.com")]
    others = [of("b"), of("b", host="*.example.com"), of("b", order=1010, ident="default")]
    for host in ("a.example.com", "x.apps.example.com"):
        assert found([*rules, *others], host, "/x", owned=True) is None
        assert found([*rules, *others], host, "/only", owned=True) == "a"
        assert found([*rules, *others], host, "/x") == "b"
    assert found([*rules, *others, of("a", ident="own")], "a.example.com", "/x", owned=True) == "own"
    assert found([*rules, *others], "c.example.com", "/x", owned=True) == "b"
    assert found([*rules, *others], "elsewhere", "/x", owned=True) == "b"


def test_a_canary_that_was_let_in_stands_where_its_base_does() -> None:
    """The order of its base's namespace decides about both."""
    guest = replace(
        of("b", host="a.example.com", priority=6, conditions=(HeaderCondition("stage", ("gray",)),)),
        tenant="a",
    )
    rules = [of("a", host="a.example.com"), guest]
    assert found(rules, "a.example.com", stage="gray") == "b"
    first = of("a", order=1, ident="first of all")
    assert found([*rules, first], "a.example.com", stage="gray") == "first of all"
