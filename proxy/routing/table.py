"""Finds the route of a request: port → order → host → path → conditions.

Precedence (docs/decisions.md): the ALB `order` first; then exact host, one-label wildcard, no host;
then Exact, longest Prefix, pattern, the Prefix /; then the higher priority; then more conditions; then the
older Ingress; then its name; then the order in the snapshot. The keys are in `rank`.
Hosts and prefixes are found by dict lookups, so a hundred thousand routes cost no more than one.

A table is filled route by route, taking over what an earlier table has of a route that is the same,
and taken apart piece by piece: either would be a long pause for requests when done at once.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from proxy.model.snapshot import Route
from proxy.routing.conditions import Check
from proxy.routing.match import PathPattern, RouteError, compile_conditions, compile_path
from proxy.routing.rank import (
    HostRank,
    PathRank,
    Precedence,
    host_rank,
    path_rank,
    pattern_precedence,
    precedence,
)
from proxy.routing.request import Facts, Fields, Line

MAX_REMEMBERED = 4096
_SHARDS = 256
"""Of the index by id: one dict that grows to 100,000 strings stops everything for 12 ms, measured."""

Target = TypeVar("Target")


class Candidate(Generic[Target]):
    """One route, and what the caller binds to it when the first request takes it."""

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


def _precedence(candidate: Candidate[Target]) -> Precedence:
    return precedence(candidate.route)


def _pattern_precedence(candidate: Candidate[Target]) -> tuple[int, Precedence]:
    return pattern_precedence(candidate.route)


class PathTable(Generic[Target]):
    """The routes of one host."""

    __slots__ = ("_exact", "_longest", "_patterns", "_prefixes", "_root")

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Candidate[Target]]] = {}
        self._prefixes: dict[bytes, list[Candidate[Target]]] = {}
        self._longest = 0  # prefix, in bytes
        self._patterns: list[Candidate[Target]] = []
        self._root: list[Candidate[Target]] = []

    def add(self, candidate: Candidate[Target]) -> None:
        path = candidate.route.path
        value = path.value.encode()
        kind = path_rank(path)
        if kind is PathRank.EXACT:
            _insert(self._exact, value, candidate)
        elif kind is PathRank.PREFIX:
            prefix = value.rstrip(b"/")
            _insert(self._prefixes, prefix, candidate)
            self._longest = max(self._longest, len(prefix))
        elif kind is PathRank.PATTERN:
            insort(self._patterns, candidate, key=_pattern_precedence)
        else:
            insort(self._root, candidate, key=_precedence)

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


def _insert(groups: dict[bytes, list[Candidate[Target]]], value: bytes, candidate: Candidate[Target]) -> None:
    group = groups.get(value)
    if group is None:
        groups[value] = [candidate]
    else:
        insort(group, candidate, key=_precedence)


class HostTable(Generic[Target]):
    """The routes of one port and one order value."""

    __slots__ = ("_any", "_exact", "_wildcards", "order")

    def __init__(self, order: int) -> None:
        self.order = order
        self._any: PathTable[Target] | None = None
        self._exact: dict[bytes, PathTable[Target]] = {}
        self._wildcards: dict[bytes, PathTable[Target]] = {}

    def add(self, candidate: Candidate[Target]) -> None:
        self._paths(candidate.route.host).add(candidate)

    def _paths(self, host: str) -> PathTable[Target]:
        kind = host_rank(host)
        if kind is HostRank.ANY:
            if self._any is None:
                self._any = PathTable()
            return self._any
        tables = self._exact if kind is HostRank.EXACT else self._wildcards
        key = host.encode() if kind is HostRank.EXACT else host[2:].encode()
        table = tables.get(key)
        if table is None:
            table = tables[key] = PathTable()
        return table

    def dismantle(self) -> Iterator[None]:
        if self._any is not None:
            yield from self._any.dismantle()
        for tables in (self._exact, self._wildcards):
            while tables:
                _, table = tables.popitem()
                yield from table.dismantle()

    def find(self, path: bytes, facts: Facts) -> Candidate[Target] | None:
        host = facts.host
        table = self._exact.get(host)
        if table is not None:
            candidate = table.find(path, facts)
            if candidate is not None:
                return candidate
        if self._wildcards:
            label, dot, parent = host.partition(b".")
            table = self._wildcards.get(parent) if dot and label else None
            if table is not None:
                candidate = table.find(path, facts)
                if candidate is not None:
                    return candidate
        return self._any.find(path, facts) if self._any is not None else None


class RouteTable(Generic[Target]):
    """All routes of a snapshot."""

    __slots__ = ("_bind", "_by_id", "_facts", "_memo", "_ports", "_tables")

    def __init__(self, bind: Callable[[Route], Target]) -> None:
        """`bind` makes what a match returns, once per route, and only for routes that are taken."""
        self._bind = bind
        self._by_id: list[dict[str, Candidate[Target]]] = [{} for _ in range(_SHARDS)]
        self._tables: dict[tuple[int, int], HostTable[Target]] = {}  # by port and order
        self._ports: dict[int, list[HostTable[Target]]] = {}  # the same, best first
        self._memo: dict[tuple[int, bytes, Fields], Target | None] = {}
        self._facts = Facts()  # of the search that is going on

    def __contains__(self, route_id: str) -> bool:
        return route_id in self._by_id[hash(route_id) % _SHARDS]

    def add(self, route: Route, earlier: "RouteTable[Target] | None" = None) -> None:
        """Add a route; one that is the same in `earlier` is taken over with its target. Raises RouteError."""
        shard = hash(route.id) % _SHARDS
        candidate = earlier._by_id[shard].get(route.id) if earlier is not None else None
        if candidate is None or not _same(candidate.route, route):
            try:
                candidate = Candidate(route)
            except RouteError as error:
                raise RouteError(f"route {route.id}: {error}") from error
        self._by_id[shard][route.id] = candidate
        for port in candidate.route.ports:
            self._table(port, route.order).add(candidate)

    def _table(self, port: int, order: int) -> HostTable[Target]:
        table = self._tables.get((port, order))
        if table is None:
            table = self._tables[port, order] = HostTable(order)
            insort(self._ports.setdefault(port, []), table, key=_order)
        return table

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, a little with each step. The table is of no use then."""
        self._memo.clear()
        for candidates in self._by_id:
            while candidates:
                candidates.popitem()
                yield
        for table in self._tables.values():
            yield from table.dismantle()

    def find(
        self, port: int, host: bytes, path: bytes, fields: Fields, line: Line, client: bytes
    ) -> Target | None:
        """Return what is bound to the route of a request, None when no route matches.

        `client` is an address, as trusted proxies report it. `fields` must not change: the answer is
        remembered for as long as it is the same object, unless it took more than port, path and fields.
        """
        if not fields.is_remembered:
            return self._search(port, host, path, fields, line, client)
        key = (port, path, fields)
        memo = self._memo
        known = memo.get(key)
        if known is not None or key in memo:
            return known
        target = self._search(port, host, path, fields, line, client)
        if not self._facts.is_particular:
            if len(memo) >= MAX_REMEMBERED:
                memo.clear()
            memo[key] = target
        return target

    def _search(
        self, port: int, host: bytes, path: bytes, fields: Fields, line: Line, client: bytes
    ) -> Target | None:
        tables = self._ports.get(port)
        if tables is None:
            return None
        facts = self._facts
        facts.host = host
        facts.fields = fields
        facts.line = line
        facts.client = client
        facts.is_particular = False
        for table in tables:
            candidate = table.find(path, facts)
            if candidate is not None:
                target = candidate.target
                if target is None:
                    target = candidate.target = self._bind(candidate.route)
                return target
        return None


def _order(table: HostTable[Target]) -> int:
    return table.order


def _same(old: Route, new: Route) -> bool:
    """Say whether two routes with the same id differ in nothing but the generation of their source.

    An edit elsewhere in an Ingress gives all of its routes another generation, and changes none.
    """
    return old == new or old == msgspec.structs.replace(new, source=old.source)
