"""Finds the route of a request: port → order → host → path → conditions.

Precedence (docs/decisions.md): the ALB `order` first; then exact host, one-label wildcard, no host;
then Exact, longest Prefix, pattern; then more conditions; then the older Ingress; then its name.
Hosts and prefixes are found by dict lookups, so a hundred thousand routes cost no more than one.

A table is filled route by route, taking over what an earlier table has of a route that is the same,
and taken apart piece by piece: either would be a long pause for requests when done at once.
"""

import re
from bisect import insort
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from proxy.model.snapshot import PathKind, Route
from proxy.routing.match import Fields, Predicate, RouteError, compile_conditions, compile_path

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
        self.conditions: tuple[Predicate, ...] = compile_conditions(route)
        self.pattern: re.Pattern[bytes] | None = compile_path(route.path)

    def holds(self, fields: Fields) -> bool:
        for condition in self.conditions:  # a loop, not all(): this is run for every request  # noqa: SIM110
            if not condition(fields):
                return False
        return True


Rank = tuple[int, str, str, str, str]


def precedence(route: Route) -> Rank:
    """Sort key among routes with the same order, host and path."""
    source = route.source
    return (-len(route.conditions), route.created, source.namespace, source.name, route.id)


def _rank(candidate: Candidate[Target]) -> Rank:
    return precedence(candidate.route)


def _pattern_rank(candidate: Candidate[Target]) -> tuple[int, Rank]:
    """Sort key among the patterns of a host: the longest first."""
    return (-len(candidate.route.path.value), precedence(candidate.route))


class PathTable(Generic[Target]):
    """The routes of one host."""

    __slots__ = ("_exact", "_longest", "_patterns", "_prefixes")

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Candidate[Target]]] = {}
        self._prefixes: dict[bytes, list[Candidate[Target]]] = {}
        self._longest = 0  # prefix, in bytes
        self._patterns: list[Candidate[Target]] = []

    def add(self, candidate: Candidate[Target]) -> None:
        path = candidate.route.path
        value = path.value.encode()
        if path.kind is PathKind.EXACT:
            _insert(self._exact, value, candidate)
        elif path.kind is PathKind.PREFIX:
            prefix = value.rstrip(b"/")
            _insert(self._prefixes, prefix, candidate)
            self._longest = max(self._longest, len(prefix))
        else:
            insort(self._patterns, candidate, key=_pattern_rank)

    def dismantle(self) -> Iterator[None]:
        for groups in (self._exact, self._prefixes):
            while groups:
                groups.popitem()
                yield
        while self._patterns:
            self._patterns.pop()
            yield

    def find(self, path: bytes, fields: Fields) -> Candidate[Target] | None:
        found = self._exact.get(path)
        if found is not None:
            for candidate in found:
                if not candidate.conditions or candidate.holds(fields):
                    return candidate
        prefixes = self._prefixes
        if prefixes:
            # Element-wise: cut at slashes, longest first. "/a/" is covered by the prefix "/a". What is
            # longer than any prefix is cut off at once: a path may be thousands of slashes.
            prefix = path
            longest = self._longest
            if len(path) > longest:
                prefix = path[: max(path.rfind(b"/", 0, longest + 1), 0)]
            while True:
                found = prefixes.get(prefix)
                if found is not None:
                    for candidate in found:
                        if not candidate.conditions or candidate.holds(fields):
                            return candidate
                if not prefix:
                    break
                prefix = prefix[: prefix.rfind(b"/")]
        for candidate in self._patterns:
            if candidate.pattern is not None and candidate.pattern.match(path) and candidate.holds(fields):
                return candidate
        return None


def _insert(groups: dict[bytes, list[Candidate[Target]]], value: bytes, candidate: Candidate[Target]) -> None:
    group = groups.get(value)
    if group is None:
        groups[value] = [candidate]
    else:
        insort(group, candidate, key=_rank)


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
        if not host:
            if self._any is None:
                self._any = PathTable()
            return self._any
        is_wildcard = host.startswith("*.")
        tables = self._wildcards if is_wildcard else self._exact
        key = host[2:].encode() if is_wildcard else host.encode()
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

    def find(self, host: bytes, path: bytes, fields: Fields) -> Candidate[Target] | None:
        table = self._exact.get(host)
        if table is not None:
            candidate = table.find(path, fields)
            if candidate is not None:
                return candidate
        if self._wildcards:
            label, dot, parent = host.partition(b".")
            table = self._wildcards.get(parent) if dot and label else None
            if table is not None:
                candidate = table.find(path, fields)
                if candidate is not None:
                    return candidate
        return self._any.find(path, fields) if self._any is not None else None


class RouteTable(Generic[Target]):
    """All routes of a snapshot."""

    __slots__ = ("_bind", "_by_id", "_memo", "_ports", "_tables")

    def __init__(self, bind: Callable[[Route], Target]) -> None:
        """`bind` makes what a match returns, once per route, and only for routes that are taken."""
        self._bind = bind
        self._by_id: list[dict[str, Candidate[Target]]] = [{} for _ in range(_SHARDS)]
        self._tables: dict[tuple[int, int], HostTable[Target]] = {}  # by port and order
        self._ports: dict[int, list[HostTable[Target]]] = {}  # the same, best first
        self._memo: dict[tuple[int, bytes, Fields], Target | None] = {}

    def __contains__(self, route_id: str) -> bool:
        return route_id in self._by_id[hash(route_id) % _SHARDS]

    def add(self, route: Route, earlier: "RouteTable[Target] | None" = None) -> None:
        """Add a route; one that is the same in `earlier` is taken over with its target. Raises RouteError."""
        shard = hash(route.id) % _SHARDS
        candidate = earlier._by_id[shard].get(route.id) if earlier is not None else None
        if candidate is None or candidate.route != route:
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

    def find(self, port: int, host: bytes, path: bytes, fields: Fields) -> Target | None:
        """Return what is bound to the route of a request, None when no route matches.

        `fields` must not change: the answer is remembered for as long as it is the same object.
        """
        if not fields.is_remembered:
            return self._search(port, host, path, fields)
        key = (port, path, fields)
        memo = self._memo
        if key in memo:
            return memo[key]
        if len(memo) >= MAX_REMEMBERED:
            memo.clear()
        target = memo[key] = self._search(port, host, path, fields)
        return target

    def _search(self, port: int, host: bytes, path: bytes, fields: Fields) -> Target | None:
        tables = self._ports.get(port)
        if tables is None:
            return None
        for table in tables:
            candidate = table.find(host, path, fields)
            if candidate is not None:
                target = candidate.target
                if target is None:
                    target = candidate.target = self._bind(candidate.route)
                return target
        return None


def _order(table: HostTable[Target]) -> int:
    return table.order
