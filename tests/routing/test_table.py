"""Which route wins."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.conditions import HeaderCondition
from proxy.model.snapshot import PathKind, Route
from proxy.routing.match import RouteError
from tests.support.asking import Headers, find_in
from tests.support.snapshots import route
from tests.support.tables import table_of

PORT = 80


def find(routes: list[Route], host: str, path: str, **headers: Any) -> str | None:
    table = table_of(routes)
    found: str | None = find_in(table, PORT, host, path, Headers(**headers))
    remembered = Headers(is_remembered=True, **headers)
    for _ in range(2):  # what is remembered is what is found
        assert find_in(table, PORT, host, path, remembered) == found
    return found


def stage(value: str) -> HeaderCondition:
    return HeaderCondition("stage", (value,))


@pytest.mark.parametrize(
    ("path", "request_path", "matches"),
    [
        ("/foo", "/foo", True),
        ("/foo", "/foo/", True),
        ("/foo", "/foo/bar", True),
        ("/foo", "/foobar", False),
        ("/foo", "/FOO", False),
        ("/foo/", "/foo", True),
        ("/aaa/bbb/", "/aaa/bbb", True),
        ("/aaa/bbb/", "/aaa/bbb/ccc", True),
        ("/aaa", "/aaaccc", False),
        ("/", "/", True),
        ("/", "/anything/at/all", True),
    ],
)
def test_prefixes_are_element_wise(path: str, request_path: str, matches: bool) -> None:
    assert (find([route(PORT, path)], "a", request_path) is not None) == matches


@pytest.mark.parametrize(("request_path", "matches"), [("/foo", True), ("/foo/", False), ("/fo", False)])
def test_exact_is_exact(request_path: str, matches: bool) -> None:
    assert (find([route(PORT, "/foo", kind=PathKind.EXACT)], "a", request_path) is not None) == matches


@pytest.mark.parametrize(
    ("kind", "value", "request_path", "matches"),
    [
        (PathKind.GLOB, "/a/*/c", "/a/b/c", True),
        (PathKind.GLOB, "/a/*/c", "/a/b/c/d", False),
        (PathKind.GLOB, "/a?", "/ab", True),
        (PathKind.GLOB, "/a.b", "/axb", False),
        (PathKind.REGEX, "/v[0-9]+/", "/v12/x", True),
        (PathKind.REGEX, "/v[0-9]+/", "/x/v12/", False),
    ],
)
def test_patterns(kind: PathKind, value: str, request_path: str, matches: bool) -> None:
    assert (find([route(PORT, value, kind=kind)], "a", request_path) is not None) == matches


@pytest.mark.parametrize(
    ("host", "matches"),
    [("bar.foo.com", True), ("baz.bar.foo.com", False), ("foo.com", False), (".foo.com", False)],
)
def test_a_wildcard_covers_exactly_one_label(host: str, matches: bool) -> None:
    assert (find([route(PORT, host="*.foo.com")], host, "/") is not None) == matches


def ranked() -> list[Route]:
    """Routes that all match the same request, the strongest first."""
    return [
        route(PORT, "/a/b", name="ordered", order=1),
        route(PORT, "/a/b", host="x.y.z", kind=PathKind.EXACT, conditions=(stage("gray"),), name="two"),
        route(PORT, "/a/b", host="x.y.z", kind=PathKind.EXACT, name="three"),
        route(PORT, "/a/b", host="x.y.z", name="four"),
        route(PORT, "/a", host="x.y.z", conditions=(stage("gray"),), name="five"),
        route(PORT, "/a", host="x.y.z", name="old", created="2020-01-01T00:00:00Z"),
        route(PORT, "/a", host="x.y.z", name="new", created="2024-01-01T00:00:00Z"),
        route(PORT, "/a/.*", host="x.y.z", kind=PathKind.REGEX, name="regex"),
        route(PORT, "/", host="x.y.z", conditions=(stage("gray"),), name="gray root"),
        route(PORT, "/", host="x.y.z", name="root"),
        route(PORT, "/a/b", host="*.y.z", kind=PathKind.EXACT, name="wildcard"),
        route(PORT, "/a/b", kind=PathKind.EXACT, name="any host"),
        route(PORT, "/", name="last"),
        route(PORT, "/", name="late", order=900),
    ]


def test_precedence() -> None:
    routes = ranked()
    for strongest in range(len(routes)):
        for remaining in (routes[strongest:], routes[: strongest - 1 : -1] if strongest else routes[::-1]):
            assert find(remaining, "x.y.z", "/a/b", stage="gray") == routes[strongest].id


def test_precedence_does_not_depend_on_the_order_of_the_input() -> None:
    strongest = ranked()[1:5]
    for permutation in itertools.permutations(strongest):
        assert find(list(permutation), "x.y.z", "/a/b", stage="gray") == strongest[0].id


def test_a_failed_condition_falls_through_to_the_next_route() -> None:
    routes = [
        route(PORT, "/a", host="x", kind=PathKind.EXACT, conditions=(stage("gray"),), name="exact"),
        route(PORT, "/", name="rest"),
    ]
    assert find(routes, "x", "/a", stage="gray") == "demo/exact/a"
    assert find(routes, "x", "/a", stage="blue") == "demo/rest/"
    assert find(routes, "x", "/a") == "demo/rest/"


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("gr*", "gray", True),
        ("gr?y", "grey", True),
        ("gr?y", "gry", False),
        ("*", "", True),
        ("a.c", "abc", False),
    ],
)
def test_header_wildcards(pattern: str, value: str, matches: bool) -> None:
    routes = [route(PORT, conditions=(HeaderCondition("stage", ("exact", pattern)),))]
    assert (find(routes, "a", "/", stage=value) is not None) == matches
    assert find(routes, "a", "/", stage="exact") is not None


def test_other_ports_have_other_routes() -> None:
    table = table_of([route(81)])
    assert find_in(table, 80, "a") is None
    assert find_in(table, 81, "a") is not None


def test_an_unusable_pattern_names_its_route() -> None:
    with pytest.raises(RouteError, match=r"demo/ing/\(.*missing \)"):
        find([route(PORT, "/(", kind=PathKind.REGEX)], "a", "/")


SEGMENTS = st.lists(st.sampled_from(["a", "b", "aa"]), max_size=3)


@given(prefixes=st.lists(SEGMENTS, max_size=6), wanted=SEGMENTS)
def test_the_longest_prefix_wins(prefixes: list[list[str]], wanted: list[str]) -> None:
    routes = [route(PORT, "/" + "/".join(p), name=str(i)) for i, p in enumerate(prefixes)]
    covering = [p for p in prefixes if wanted[: len(p)] == p]
    found = find(routes, "a", "/" + "/".join(wanted))
    if not covering:
        assert found is None
    else:
        assert found is not None
        assert found.split("/", 2)[2].strip("/").count("/") == max(max(map(len, covering)), 1) - 1
