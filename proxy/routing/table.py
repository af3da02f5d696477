"""Finds the route of a request: port → host → path → conditions; or another that its namespace has first.

Precedence (docs/decisions.md): each namespace's first match is found by its own `order`; among these the
exact host, the one-label wildcard, no host; then Exact, longest Prefix, pattern, the Prefix /; then the
namespace that has been there for longest. In a namespace, among equals: the higher priority; then more
conditions; then the older Ingress; then its name; then the order in the snapshot. The keys are in `rank`.

Routes of all namespaces are looked up together, the most specific first, and the first match is taken. Only
where its namespace has several orders, and the match is not in the lowest, are others looked at. Hosts and
prefixes are found by dict lookups, so a hundred thousand routes cost no more than one.

A table is filled route by route, with the objects of an earlier table for unchanged routes, and taken apart
piece by piece: either would be a long pause for requests when done at once.
"""

from collections.abc import Callable, Iterator
from typing import Generic

import msgspec

from proxy.model.snapshot import Route
from proxy.routing.hosts import HostTable
from proxy.routing.match import RouteError
from proxy.routing.paths import Candidate, Target
from proxy.routing.request import Facts, Fields, Line

MAX_REMEMBERED = 4096
_SHARDS = 256
"""Parts of the index by id: one dict that grows to 100,000 strings stops the loop for 12 ms, measured."""


class RouteTable(Generic[Target]):
    """All routes of a snapshot."""

    __slots__ = ("_bind", "_by_id", "_facts", "_memo", "_owned", "_ports")

    def __init__(self, bind: Callable[[Route], Target], *, owned: bool = False) -> None:
        """`bind` makes the object that a match returns, once per route, and only for routes that are taken.

        With `owned` a host is only for rules of the namespace that owns it.
        """
        self._bind = bind
        self._owned = owned
        self._by_id: list[dict[str, Candidate[Target]]] = [{} for _ in range(_SHARDS)]
        self._ports: dict[int, HostTable[Target]] = {}
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
            table = self._ports.get(port)
            if table is None:
                table = self._ports[port] = HostTable(owned=self._owned)
            table.add(candidate)

    def dismantle(self) -> Iterator[None]:
        """Let go of all routes, a little with each step. The table is of no use then."""
        self._memo.clear()
        for candidates in self._by_id:
            while candidates:
                candidates.popitem()
                yield
        for table in self._ports.values():
            yield from table.dismantle()

    def find(
        self, port: int, host: bytes, path: bytes, fields: Fields, line: Line, client: bytes
    ) -> Target | None:
        """Return the object bound to the route of a request, None when no route matches.

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
        table = self._ports.get(port)
        if table is None:
            return None
        facts = self._facts
        facts.host = host
        facts.fields = fields
        facts.line = line
        facts.client = client
        facts.is_particular = False
        candidate = table.find(path, facts)
        if candidate is not None and table.is_contested:
            candidate = table.settle(candidate, path, facts)
        if candidate is None:
            return None
        target = candidate.target
        if target is None:
            target = candidate.target = self._bind(candidate.route)
        return target


def _same(old: Route, new: Route) -> bool:
    """Return whether two routes with the same id differ in nothing but the generation of their source.

    An edit elsewhere in an Ingress gives all of its routes another generation, and changes none.
    """
    return old == new or old == msgspec.structs.replace(new, source=old.source)
