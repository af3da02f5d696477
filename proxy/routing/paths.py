"""The routes of one host, by path; of those at one place the namespace comes first that came first."""

from bisect import insort
from collections.abc import Iterator
from typing import Generic, TypeVar

from proxy.model.snapshot import Route, tenant_of
from proxy.routing.conditions import Check
from proxy.routing.match import PathPattern, compile_conditions, compile_path
from proxy.routing.rank import PathPlace, PathRank, Precedence, path_place, path_rank, precedence
from proxy.routing.request import Facts

Target = TypeVar("Target")


class Candidate(Generic[Target]):
    """One route, and the object that the caller binds to it when the first request takes it.

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
        """Return whether the route matches a path that was looked up, or tried with a pattern."""
        return (self.pattern is None or self.pattern.matches(path)) and self.holds(facts)


class PathTable(Generic[Target]):
    """The routes of one host, by how specific their paths are.

    Which of two patterns comes first is different in a namespace and among several: where there are patterns
    and several namespaces (`is_divided`), the first match of each is looked for.
    `beneath` are the less specific ones of the same host: those that have it as an alias; default backends.
    """

    __slots__ = (
        "_begun", "_exact", "_has_tenants", "_longest", "_patterns", "_prefixes", "_root", "_since",
        "_tenant", "beneath",
    )  # fmt: skip

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Candidate[Target]]] = {}
        self._prefixes: dict[bytes, list[Candidate[Target]]] = {}
        self._longest = 0  # prefix, in bytes
        self._patterns: list[Candidate[Target]] = []
        self._root: list[Candidate[Target]] = []
        self._since: dict[PathPlace, dict[str, str]] = {}
        """Since when each namespace is at a place: where there are several namespaces, and no patterns."""
        self._tenant = ""  # of a route with another path than an exact one
        self._has_tenants = False  # several namespaces have such routes
        self._begun: dict[tuple[str, str], str] | None = None
        """Since when a namespace is at a place with no exact path, by both, as far as a search asked: where
        `is_divided`."""
        self.beneath: PathTable[Target] | None = None

    def add(self, candidate: Candidate[Target]) -> None:
        path = candidate.route.path
        value = path.value.encode()
        kind = path_rank(path)
        if kind is PathRank.EXACT:
            self._insert(self._exact.setdefault(value, []), candidate)
            return
        if kind is PathRank.PREFIX:
            prefix = value.rstrip(b"/")
            self._insert(self._prefixes.setdefault(prefix, []), candidate)
            self._longest = max(self._longest, len(prefix))
        elif kind is PathRank.PATTERN:
            insort(self._patterns, candidate, key=_in_namespace)
        else:
            self._insert(self._root, candidate)
        self._divide(candidate.route)

    def _divide(self, route: Route) -> None:
        """Take note of the namespace of a route, as far as the namespace matters by now."""
        tenant = tenant_of(route)
        if self._tenant and tenant != self._tenant:
            self._has_tenants = True
        self._tenant = tenant
        if self._has_tenants and self._patterns:
            self._begun = {}

    @property
    def is_divided(self) -> bool:
        """Whether the first of several matches may come later in `below` than another."""
        return self._begun is not None

    def _insert(self, group: list[Candidate[Target]], candidate: Candidate[Target]) -> None:
        if self._is_older(group, candidate):
            group.append(candidate)
            group.sort(key=self._standing)
        elif group:
            insort(group, candidate, key=self._standing)
        else:
            group.append(candidate)

    def _is_older(self, group: list[Candidate[Target]], candidate: Candidate[Target]) -> bool:
        """Note since when the candidate's namespace is at its place; say whether its other routes move."""
        route = candidate.route
        place, created, tenant = path_place(route.path), route.created, tenant_of(route)
        since = self._since.get(place)
        if since is None:
            if not group or tenant_of(group[0].route) == tenant:
                return False  # the whole group is of one namespace
            since = self._since[place] = {}
            since[tenant_of(group[0].route)] = min(each.route.created for each in group)
        known = since.get(tenant)
        if known is not None and created >= known:
            return False
        since[tenant] = created
        return known is not None and len(since) > 1

    def _standing(self, candidate: Candidate[Target]) -> tuple[str, str, Precedence]:
        """Sort key at a place: the namespaces by age, then the routes of each."""
        since = self._since.get(path_place(candidate.route.path))
        tenant = tenant_of(candidate.route)
        return (since[tenant] if since is not None else "", tenant, precedence(candidate.route))

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
        if self._begun is not None:
            return next(iter(self.firsts(path, facts)), None)
        prefixes = self._prefixes
        if prefixes:
            # Element-wise: cut at slashes, longest first. "/a/" is covered by the prefix "/a". The part
            # beyond the longest prefix is cut off at once: a path may be thousands of slashes.
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

    def firsts(self, path: bytes, facts: Facts) -> list[Candidate[Target]]:
        """Return the first match with no exact path that each namespace has in its lowest order, the most
        specific first; if `is_divided`."""
        found: dict[str, Candidate[Target]] = {}
        for candidate in self.below(path):
            tenant = tenant_of(candidate.route)
            earlier = found.get(tenant)
            if earlier is not None and earlier.route.order <= candidate.route.order:
                continue
            if candidate.takes(path, facts):
                found[tenant] = candidate
        return sorted(found.values(), key=self._across)

    def _across(self, candidate: Candidate[Target]) -> tuple[int, str, str]:
        """Sort key among the first matches of all namespaces."""
        text, tenant = path_place(candidate.route.path)[1], tenant_of(candidate.route)
        begun = self._begun
        since = begun.get((text, tenant)) if begun is not None else None
        if since is None:
            since = self._since_when(text, tenant)
            if begun is not None:
                begun[text, tenant] = since
        return (-len(text), since, tenant)

    def _since_when(self, text: str, tenant: str) -> str:
        """Return the age of the oldest rule that a namespace has at a place with no exact path."""
        there = [
            *self._prefixes.get(text.encode(), ()),
            *(each for each in self._patterns if path_place(each.route.path)[1] == text),
            *(() if text else self._root),
        ]
        oldest: str = min(each.route.created for each in there if tenant_of(each.route) == tenant)
        return oldest

    def exact(self, path: bytes) -> list[Candidate[Target]]:
        return self._exact.get(path, [])

    def below(self, path: bytes) -> Iterator[Candidate[Target]]:
        """Yield the candidates that `find` looks at after the exact paths, in its order, matching or not."""
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


def _in_namespace(candidate: Candidate[Target]) -> tuple[int, Precedence]:
    """Sort key of patterns: in a namespace the longer comes first."""
    return (-len(candidate.route.path.value), precedence(candidate.route))
