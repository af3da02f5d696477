"""Compiles a snapshot into lookups: port → order → host → path → conditions.

Precedence (docs/decisions.md): the ALB `order` first; then exact host, one-label wildcard, no host;
then Exact, longest Prefix, pattern; then more conditions; then the older Ingress; then its name.
Hosts and prefixes are found by dict lookups, so a hundred thousand routes cost no more than one.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from proxy.model.snapshot import PathKind, Route, Snapshot
from proxy.routing.match import Fields, Predicate, RouteError, compile_conditions, compile_path

MAX_REMEMBERED = 4096

Target = TypeVar("Target")


class Candidate(Generic[Target]):
    """One route and what the caller bound to it."""

    __slots__ = ("conditions", "pattern", "route", "target")

    def __init__(self, route: Route, target: Target) -> None:
        self.route = route
        self.target = target
        self.conditions: tuple[Predicate, ...] = compile_conditions(route)
        self.pattern: re.Pattern[bytes] | None = compile_path(route.path)

    def holds(self, fields: Fields) -> bool:
        for condition in self.conditions:  # a loop, not all(): this is run for every request  # noqa: SIM110
            if not condition(fields):
                return False
        return True


def precedence(route: Route) -> tuple[int, str, str, str, str]:
    """Sort key among routes with the same order, host and path."""
    source = route.source
    return (-len(route.conditions), route.created, source.namespace, source.name, route.id)


class PathTable(Generic[Target]):
    """The routes of one host."""

    __slots__ = ("_exact", "_patterns", "_prefixes")

    def __init__(self, candidates: Iterable[Candidate[Target]]) -> None:
        self._exact: dict[bytes, list[Candidate[Target]]] = defaultdict(list)
        self._prefixes: dict[bytes, list[Candidate[Target]]] = defaultdict(list)
        self._patterns: list[Candidate[Target]] = []
        for candidate in sorted(candidates, key=lambda c: precedence(c.route)):
            path = candidate.route.path
            value = path.value.encode()
            if path.kind is PathKind.EXACT:
                self._exact[value].append(candidate)
            elif path.kind is PathKind.PREFIX:
                self._prefixes[value.rstrip(b"/")].append(candidate)
            else:
                self._patterns.append(candidate)
        self._exact = dict(self._exact)
        self._prefixes = dict(self._prefixes)
        self._patterns.sort(key=lambda c: -len(c.route.path.value))  # stable: precedence breaks ties

    def find(self, path: bytes, fields: Fields) -> Target | None:
        found = self._exact.get(path)
        if found is not None:
            for candidate in found:
                if not candidate.conditions or candidate.holds(fields):
                    return candidate.target
        prefixes = self._prefixes
        if prefixes:
            # Element-wise: cut at slashes, longest first. "/a/" is covered by the prefix "/a".
            prefix = path
            while True:
                found = prefixes.get(prefix)
                if found is not None:
                    for candidate in found:
                        if not candidate.conditions or candidate.holds(fields):
                            return candidate.target
                if not prefix:
                    break
                prefix = prefix[: prefix.rfind(b"/")]
        for candidate in self._patterns:
            if candidate.pattern is not None and candidate.pattern.match(path) and candidate.holds(fields):
                return candidate.target
        return None


class HostTable(Generic[Target]):
    """The routes of one port and one order value."""

    __slots__ = ("_any", "_exact", "_wildcards")

    def __init__(self, candidates: Iterable[Candidate[Target]]) -> None:
        by_host: dict[str, list[Candidate[Target]]] = defaultdict(list)
        for candidate in candidates:
            by_host[candidate.route.host].append(candidate)
        self._any = PathTable(by_host.pop("")) if "" in by_host else None
        self._exact: dict[bytes, PathTable[Target]] = {}
        self._wildcards: dict[bytes, PathTable[Target]] = {}
        for host, group in by_host.items():
            if host.startswith("*."):
                self._wildcards[host[2:].encode()] = PathTable(group)
            else:
                self._exact[host.encode()] = PathTable(group)

    def find(self, host: bytes, path: bytes, fields: Fields) -> Target | None:
        table = self._exact.get(host)
        if table is not None:
            target = table.find(path, fields)
            if target is not None:
                return target
        if self._wildcards:
            label, dot, parent = host.partition(b".")
            table = self._wildcards.get(parent) if dot and label else None
            if table is not None:
                target = table.find(path, fields)
                if target is not None:
                    return target
        return self._any.find(path, fields) if self._any is not None else None


class RouteTable(Generic[Target]):
    """All routes of a snapshot."""

    __slots__ = ("_memo", "_ports", "targets", "version")

    def __init__(self, version: int, candidates: list[Candidate[Target]]) -> None:
        self.version = version
        self.targets = tuple(candidate.target for candidate in candidates)
        grouped: dict[int, dict[int, list[Candidate[Target]]]] = defaultdict(lambda: defaultdict(list))
        for candidate in candidates:
            for port in candidate.route.ports:
                grouped[port][candidate.route.order].append(candidate)
        self._memo: dict[tuple[int, bytes, Fields], Target | None] = {}
        self._ports = {
            port: tuple(HostTable(orders[order]) for order in sorted(orders))
            for port, orders in grouped.items()
        }

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
        for table in self._ports.get(port, ()):
            target = table.find(host, path, fields)
            if target is not None:
                return target
        return None


def compile_table(snapshot: Snapshot, bind: Callable[[Route], Target]) -> RouteTable[Target]:
    """Return the table of a snapshot; `bind` makes what a match returns. Raises RouteError."""
    candidates: list[Candidate[Target]] = []
    for route in snapshot.routes:
        try:
            candidates.append(Candidate(route, bind(route)))
        except RouteError as error:
            raise RouteError(f"route {route.id}: {error}") from error
    return RouteTable(snapshot.version, candidates)
