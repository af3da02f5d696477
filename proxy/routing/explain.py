"""The explanation of a request's route: every route that was considered, with the deciding rule.

Predicates and sort keys are those of the table; hosts and paths, which the table looks up, are compared here.
tests/routing/test_explain.py holds that both choose the same route.
"""

import heapq
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from proxy.model.conditions import Condition
from proxy.model.snapshot import PathKind, Route
from proxy.routing.contest import Contest, Precedence
from proxy.routing.match import compile_conditions, compile_path
from proxy.routing.rank import Rank, rank
from proxy.routing.request import Facts

_SLICE: Final = 1000
"""Sorting is one step that no other thread interrupts: of 100,000 routes at once it takes 0.4 s."""


class Inquiry(msgspec.Struct, frozen=True):
    """The request of an inquiry."""

    port: int  # of the listener
    host: str = ""  # without port
    path: str = "/"  # in normal form, as it is forwarded
    method: str = "GET"
    query: str = ""  # without question mark
    headers: tuple[tuple[str, str], ...] = ()
    client: str = ""  # address, as trusted proxies would report it


class RouteVerdict(StrEnum):
    CHOSEN = "chosen"
    LOST = "lost"  # the route matches, and so does a better one
    MISSED = "missed"  # the route does not match


class Part(StrEnum):
    """The part of a request that a route does not match."""

    PORT = "port"
    HOST = "host"
    PATH = "path"
    CONDITION = "condition"


class Difference(msgspec.Struct, frozen=True):
    """`wanted` is the value of the route, `found` that of the request: for conditions, all values."""

    part: Part
    wanted: str | Condition
    found: tuple[str, ...]


class Considered(msgspec.Struct, frozen=True):
    route: Route
    verdict: RouteVerdict
    lost_by: Precedence | None = None
    lost_to: Route | None = None  # the chosen route, or the first of its own namespace
    differences: tuple[Difference, ...] = ()  # all differences, of a route that does not match


class Explanation(msgspec.Struct, frozen=True):
    """Routes in the order in which they would be taken, then those that do not match, the nearest first."""

    considered: tuple[Considered, ...]
    left: int = 0  # the number of further routes that do not match

    @property
    def chosen(self) -> Considered | None:
        first = self.considered[0] if self.considered else None
        return first if first is not None and first.verdict is RouteVerdict.CHOSEN else None


def explain(
    routes: Iterable[Route], asked: Inquiry, most: int | None = None, *, owned: bool = False
) -> Explanation:
    """Return the outcome of a request among the routes of a snapshot. Raises RouteError.

    `most` is the number of kept routes that do not match, the nearest ones. To keep 100,000 of them, and to
    collect the garbage, stops all other threads for a second. `owned`: hosts belong to one namespace each.
    """
    facts = _facts(asked)
    contest = Contest(owned=owned)
    missed: list[Considered] = []
    count = 0
    for route in routes:
        differences = tuple(_differences(route, asked, facts))
        parts = [difference.part for difference in differences]
        if Part.PORT not in parts and Part.HOST not in parts:
            contest.note(route)
        if not differences:
            contest.enter(route)
            continue
        count += 1
        missed.append(Considered(route, RouteVerdict.MISSED, differences=differences))
        if most is not None and len(missed) >= most + _SLICE:
            missed = _nearest(missed, asked.path, most)
    missed = _nearest(missed, asked.path, most)
    return Explanation((*_judged(contest), *missed), count - len(missed))


def _judged(contest: Contest) -> Iterator[Considered]:
    for route, lost_by, winner in contest.in_turn():
        verdict = RouteVerdict.CHOSEN if lost_by is None else RouteVerdict.LOST
        yield Considered(route, verdict, lost_by=lost_by, lost_to=winner)


def _differences(route: Route, asked: Inquiry, facts: Facts) -> Iterator[Difference]:
    if asked.port not in route.ports:
        yield Difference(Part.PORT, ", ".join(str(port) for port in route.ports), (str(asked.port),))
    if not covers_host(route.host, asked.host):
        yield Difference(Part.HOST, route.host, (asked.host,))
    if not _covers_path(route, asked.path):
        yield Difference(Part.PATH, route.path.value, (asked.path,))
    for check in compile_conditions(route):
        if not check.holds(facts):
            found = tuple(value.decode(errors="replace") for value in check.found(facts))
            yield Difference(Part.CONDITION, check.condition, found)


def covers_host(wanted: str, host: str) -> bool:
    """Whether a route with the host `wanted` takes requests to `host`."""
    host = host.lower()
    if wanted.startswith("*."):
        label, dot, parent = host.partition(".")
        return bool(label and dot) and parent == wanted[2:]
    return wanted in ("", host)


def _covers_path(route: Route, path: str) -> bool:
    wanted = route.path
    if wanted.kind is PathKind.EXACT:
        return path == wanted.value
    if wanted.kind is PathKind.PREFIX:
        prefix = wanted.value.rstrip("/")
        return not prefix or path == prefix or path.startswith(prefix + "/")
    pattern = compile_path(wanted)
    return pattern is not None and pattern.matches(_octets(path))


def _nearest(missed: list[Considered], path: str, most: int | None) -> list[Considered]:
    """Return at most `most` of the routes that do not match, in order of their distance."""
    keyed = [(_distance(each, path), number, each) for number, each in enumerate(missed)]
    slices = [sorted(keyed[start : start + _SLICE]) for start in range(0, len(keyed), _SLICE)]
    return [each for _, _, each in islice(heapq.merge(*slices), most)]


_PLACE = (Part.PORT, Part.HOST, Part.PATH)

Distance = tuple[int, bool, int, int, Rank]


def _distance(missed: Considered, path: str) -> Distance:
    """Sort key of misses: those in the right place, then the right host, then the most of the path."""
    parts = [difference.part for difference in missed.differences]
    misplaced = sum(part in _PLACE for part in parts)
    fits = _fitting(missed.route.path.value, path) if Part.PATH in parts else len(path) + 1
    return misplaced, Part.HOST in parts, -fits, len(parts), rank(missed.route)


def _fitting(wanted: str, path: str) -> int:
    """Return how many characters the two texts have in common before they differ."""
    for position, (one, other) in enumerate(zip(wanted, path, strict=False)):
        if one != other:
            return position
    return min(len(wanted), len(path))


class _Fields:
    __slots__ = ("_values", "is_remembered")

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.is_remembered = False
        self._values: dict[bytes, tuple[bytes, ...]] = {}
        for name, value in headers:
            key = _octets(name.lower())
            self._values[key] = (*self._values.get(key, ()), _octets(value.strip(" \t")))

    def values(self, name: bytes) -> tuple[bytes, ...]:
        return self._values.get(name, ())


class _Resource:
    __slots__ = ("method",)

    def __init__(self, method: bytes) -> None:
        self.method = method


class _Line:
    __slots__ = ("query", "resource")

    def __init__(self, asked: Inquiry) -> None:
        self.query = _octets(f"?{asked.query}") if asked.query else b""
        self.resource = _Resource(_octets(asked.method))


def _octets(text: str) -> bytes:
    """Return the bytes that a client would send; octets of a command line beyond UTF-8 are surrogates."""
    return text.encode(errors="surrogateescape")


def _facts(asked: Inquiry) -> Facts:
    facts = Facts()
    facts.host = _octets(asked.host.lower())
    facts.fields = _Fields(asked.headers)
    facts.line = _Line(asked)
    facts.client = _octets(asked.client)
    return facts
