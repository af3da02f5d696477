"""A table that takes over from an earlier one finds what a table of its own would, and what a list would."""

import re

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.model.conditions import HeaderCondition
from proxy.model.snapshot import PathKind, Route
from tests.support.asking import Headers, find_in
from tests.support.snapshots import route
from tests.support.tables import table_of

PORTS = (80, 81)
HOSTS = ["a.b", "c.a.b", "x.b", "b", ".b"]
REQUEST_PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c/a/b/c", "/ab", "/b/a", "//", "*"]
CONDITIONS = [(), (HeaderCondition("stage", ("gray",)),), (HeaderCondition("stage", ("g*",)),)]
HOST_CLASSES = 3
PATTERN_CLASS = 2


@st.composite
def routes(draw: st.DrawFn, name: str) -> Route:
    kind = draw(st.sampled_from(PathKind))
    patterns = ["/a*", "/*", "/a?b"] if kind is PathKind.GLOB else ["/a.*", "/[ab]", "/a/b$"]
    is_pattern = kind in (PathKind.GLOB, PathKind.REGEX)
    made = route(
        draw(st.sampled_from(PORTS)),
        draw(st.sampled_from(patterns if is_pattern else ["/", "/a", "/a/", "/a/b", "/b"])),
        host=draw(st.sampled_from(["", "a.b", "*.b", "*.a.b"])),
        kind=kind,
        conditions=draw(st.sampled_from(CONDITIONS)),
        name=name,
        order=draw(st.sampled_from([1, 10])),
        priority=draw(st.sampled_from([0, 1])),
        created=draw(st.sampled_from(["", "2024-01-01T00:00:00Z"])),
    )
    return replace(made, id=name, ports=draw(st.sampled_from([made.ports, PORTS])))


@st.composite
def generations(draw: st.DrawFn) -> list[list[Route]]:
    """Some snapshots' routes; each keeps, changes, drops and adds some of those before, in any order."""
    names = [f"route-{number}" for number in range(8)]
    current: dict[str, Route] = {}
    made = []
    for _ in range(draw(st.integers(1, 3))):
        for name in draw(st.lists(st.sampled_from(names), unique=True)):
            current[name] = draw(routes(name))
        for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
            current.pop(name, None)
        made.append(draw(st.permutations(list(current.values()))))
    return made


def covers(pattern: str, host: str) -> bool:
    if not pattern.startswith("*."):
        return pattern in ("", host)
    label, _, parent = host.partition(".")
    return bool(label) and parent == pattern[2:]


def matches(candidate: Route, path: str) -> bool:
    kind, value = candidate.path.kind, candidate.path.value
    if kind is PathKind.EXACT:
        return path == value
    if kind is PathKind.PREFIX:
        return not value.strip("/") or f"{path}/".startswith(value.rstrip("/") + "/")
    if kind is PathKind.GLOB:
        value = value.replace("*", ".*").replace("?", ".") + r"\Z"
    return re.match(value, path) is not None


def rank(candidate: Route) -> tuple[object, ...]:
    path = candidate.path
    host = HOST_CLASSES if not candidate.host else int(candidate.host.startswith("*."))
    kind = {PathKind.EXACT: 0, PathKind.PREFIX: 1}.get(path.kind, PATTERN_CLASS)
    if path.kind is PathKind.PREFIX and path.value == "/":
        kind = PATTERN_CLASS + 1
    length = len(path.value if kind == PATTERN_CLASS else path.value.rstrip("/"))
    source = candidate.source
    return (
        candidate.order, host, kind, -length, -candidate.priority, -len(candidate.conditions),
        candidate.created, source.namespace, source.name, candidate.id,
    )  # fmt: skip


def first_of(wanted: list[Route], port: int, host: str, path: str, stage: str) -> str | None:
    """Search a sorted list, as the precedence rules are written down."""
    for candidate in sorted(wanted, key=rank):
        stages = [
            pattern.replace("*", "")
            for condition in candidate.conditions
            if isinstance(condition, HeaderCondition)
            for pattern in condition.patterns
        ]
        if (
            port in candidate.ports
            and covers(candidate.host, host)
            and matches(candidate, path)
            and all(stage.startswith(s) for s in stages)
        ):
            return candidate.id
    return None


@given(generations())
def test_the_routes_of_now_decide_whatever_came_before(snapshots: list[list[Route]]) -> None:
    table = None
    for wanted in snapshots:
        earlier, table = table, table_of(wanted, table)
        if earlier is not None:
            for _ in earlier.dismantle():  # what was taken over is not lost with the rest
                pass
        for port in PORTS:
            for host in HOSTS:
                for path in REQUEST_PATHS:
                    for stage in ("", "gray", "green"):
                        found = find_in(table, port, host, path, Headers(stage=stage))
                        assert found == first_of(wanted, port, host, path, stage)
        assert {f"route-{n}" for n in range(8) if f"route-{n}" in table} == {r.id for r in wanted}


def test_a_target_is_made_once_for_as_long_as_its_route_stays() -> None:
    made: list[str] = []
    one, two = route(80, "/one", name="1"), route(80, "/two", name="2")

    def bind(bound: Route) -> object:
        made.append(bound.path.value)
        return object()

    earlier = table_of([one, two], bind=bind)
    assert made == []
    kept, lost = (find_in(earlier, 80, "", path) for path in ("/one", "/two"))
    later = table_of([one, replace(two, order=5)], earlier, bind=bind)
    assert find_in(later, 80, "", "/one") is kept
    assert find_in(later, 80, "", "/two") is not lost
    assert made == ["/one", "/two", "/two"]


def test_a_table_is_dismantled_in_small_steps() -> None:
    table = table_of([route(80, f"/{n}", host=f"{n % 7}.b", name=str(n)) for n in range(100)])
    steps = sum(1 for _ in table.dismantle())
    assert steps == 200  # once for each route in the index, once where it is found
    assert find_in(table, 80, "1.b", "/1") is None
