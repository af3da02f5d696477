"""The routes of one host, by path; of those at one place the namespace comes first that came first."""

from bisect import insort
from collections.abc import Iterator
from typing import Generic, TypeVar

from proxy.model.snapshot import Route, tenant_of
from proxy.routing.conditions import Check
from proxy.routing.match import PathPattern, compile_conditions, compile_path
from proxy.routing.rank import (
    PathRank,
    Precedence,
    path_place,
    path_rank,
    precedence,
)
from proxy.routing.request import Facts

Target = TypeVar("Target")


class Candidate(Generic[Target]):
    """One route, and what the caller binds to it when the first request takes it.

    With four members it fits into a cache line: a fifth costs 3 % of a lookup among 20,000 routes.
    """

    __slots__ = ("conditions", "pattern", "route", "target")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.target: Target | None = None
        self.conditions: tuple[Check, ...] = compile_conditions(route)
        self.pattern: PathPattern | None = compile_path(route.path)

    def holds(self, facts: Facts) -> bool:
        for condition in self.conditions:  # a loop, not all(): this is run for every request  # noqa: SIM110
            if not condition.holds(facts):
                return False
        return True

    def takes(self, path: bytes, facts: Facts) -> bool:
        """Say whether it matches a path that was looked up, or tried with a pattern."""
        return (self.pattern is None or self.pattern.matches(path)) and self.holds(facts)


class PathTable(Generic[Target]):
    """The routes of one host, by how specific their paths are.

    `beneath` are the less specific ones of the same host: those that have it as an alias; default backends.
    """

    __slots__ = ("_exact", "_longest", "_patterns", "_prefixes", "_root", "_since", "beneath")

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Candidate[Target]]] = {}
        self._prefixes: dict[bytes, list[Candidate[Target]]] = {}
        self._longest = 0  # prefix, in bytes
        self._patterns: list[Candidate[Target]] = []
        self._root: list[Candidate[Target]] = []
        self._since: dict[tuple[PathRank, str], dict[str, str]] = {}
        """Since when each namespace is at a place: where there are patterns, or several namespaces."""
        self.beneath: PathTable[Target] | None = None

    def add(self, candidate: Candidate[Target]) -> None:
        path = candidate.route.path
        value = path.value.encode()
        kind = path_rank(path)
        if kind is PathRank.EXACT:
            self._insert(self._exact.setdefault(value, []), candidate)
        elif kind is PathRank.PREFIX:
            prefix = value.rstrip(b"/")
            self._insert(self._prefixes.setdefault(prefix, []), candidate)
            self._longest = max(self._longest, len(prefix))
        elif kind is PathRank.PATTERN:
            self._insert(self._patterns, candidate)
        else:
            self._insert(self._root, candidate)

    def _insert(self, group: list[Candidate[Target]], candidate: Candidate[Target]) -> None:
        if self._is_older(group, candidate):
            group.append(candidate)
            group.sort(key=self._standing)
        elif group:
            insort(group, candidate, key=self._standing)
        else:
            group.append(candidate)

    def _is_older(self, group: list[Candidate[Target]], candidate: Candidate[Target]) -> bool:
        """Note since when its namespace is at its place; say whether that moves others of the namespace."""
        place, created, tenant = (
            path_place(candidate.route.path),
            candidate.route.created,
            tenant_of(candidate.route),
        )
        since = self._since.get(place)
        if since is None:
            if place[0] is not PathRank.PATTERN and (not group or tenant_of(group[0].route) == tenant):
                return False  # the whole group is of one namespace
            since = self._since[place] = {}
            if place[0] is not PathRank.PATTERN:
                since[tenant_of(group[0].route)] = min(each.route.created for each in group)
        known = since.get(tenant)
        if known is not None and created >= known:
            return False
        since[tenant] = created
        return known is not None and len(since) > 1

    def _standing(self, candidate: Candidate[Target]) -> tuple[int, str, str, Precedence]:
        """Sort key in a group: patterns by length, then namespaces by age, then the routes of each."""
        path = candidate.route.path
        place = path_place(path)
        since = self._since.get(place)
        tenant = tenant_of(candidate.route)
        age = since[tenant] if since is not None else ""
        length = len(path.value) if place[0] is PathRank.PATTERN else 0
        return (-length, age, tenant, precedence(candidate.route))

    def dismantle(self) -> Iterator[None]:
        for groups in (self._exact, self._prefixes):
            while groups:
                groups.popitem()
                yield
        for candidates in (self._patterns, self._root):
            while candidates:
                candidates.pop()
                yield

    def find(self, path: bytes, facts: Facts) -> Candidate[Target] | None:
        found = self._exact.get(path)
        if found is not None:
            for candidate in found:
                if not candidate.conditions or candidate.holds(facts):
                    return candidate
        prefixes = self._prefixes
        if prefixes:
            # Element-wise: cut at slashes, longest first. "/a/" is covered by the prefix "/a". What is
            # longer than any prefix is cut off at once: a path may be thousands of slashes.
            prefix = path
            longest = self._longest
            if len(path) > longest:
                prefix = path[: max(path.rfind(b"/", 0, longest + 1), 0)]
            while prefix:
                found = prefixes.get(prefix)
                if found is not None:
                    for candidate in found:
                        if not candidate.conditions or candidate.holds(facts):
                            return candidate
                prefix = prefix[: prefix.rfind(b"/")]
        for candidate in self._patterns:
            if candidate.pattern is not None and candidate.pattern.matches(path) and candidate.holds(facts):
                return candidate
        for candidate in self._root:
            if not candidate.conditions or candidate.holds(facts):
                return candidate
        return None

    def near(self, path: bytes) -> Iterator[Candidate[Target]]:
        """Yield what `find` looks at, in the same order, without asking whether it matches."""
        yield from self._exact.get(path, ())
        prefix = path
        if len(path) > self._longest:
            prefix = path[: max(path.rfind(b"/", 0, self._longest + 1), 0)]
        while prefix:
            yield from self._prefixes.get(prefix, ())
            prefix = prefix[: prefix.rfind(b"/")]
        yield from self._patterns
        yield from self._root

    def tenants(self) -> Iterator[str]:
        """Yield the namespaces of the routes."""
        for groups in (self._exact, self._prefixes):
            for group in groups.values():
                for candidate in group:
                    yield tenant_of(candidate.route)
        for candidate in self._patterns:
            yield tenant_of(candidate.route)
        for candidate in self._root:
            yield tenant_of(candidate.route)
