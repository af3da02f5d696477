"""The routes of one port by host, and the choice among those that match a request."""

from collections.abc import Iterable, Iterator
from typing import Generic

from proxy.model.snapshot import Route, tenant_of
from proxy.routing.paths import Candidate, PathTable, Target
from proxy.routing.rank import HostRank, host_rank, party
from proxy.routing.request import Facts


class HostTable(Generic[Target]):
    """The routes of one port."""

    __slots__ = (
        "_any", "_exact", "_is_divided", "_lowest", "_orders", "_owned", "_wildcards", "is_contested",
    )  # fmt: skip

    def __init__(self, *, owned: bool = False) -> None:
        self._is_divided = False  # some table is divided
        self._owned = owned  # only the namespace that has a host has rules for it
        self.is_contested = owned  # the most specific match may have to give way to another
        self._any: PathTable[Target] | None = None
        self._exact: dict[bytes, PathTable[Target]] = {}
        self._wildcards: dict[bytes, PathTable[Target]] = {}
        self._orders: dict[str, int] = {}  # the order of one route of each party
        self._lowest: dict[str, int] = {}  # the least order of each party that has several

    def add(self, candidate: Candidate[Target]) -> None:
        route = candidate.route
        mine = party(route)
        known = self._orders.setdefault(mine, route.order)
        if known != route.order:
            self._lowest[mine] = min(self._lowest.get(mine, known), route.order)
            self.is_contested = True
        table = self._paths(route)
        table.add(candidate)
        self._is_divided = self._is_divided or table.is_divided

    def _paths(self, route: Route) -> PathTable[Target]:
        kind = host_rank(route)
        if kind is HostRank.ANY or kind is HostRank.DEFAULT:
            if self._any is None:
                self._any = PathTable()
            return _beneath(self._any) if kind is HostRank.DEFAULT else self._any
        if kind is HostRank.EXACT or kind is HostRank.EXACT_ALIAS:
            table = _at(self._exact, route.host.encode())
        else:
            table = _at(self._wildcards, route.host[2:].encode())
        return _beneath(table) if route.alias else table

    def dismantle(self) -> Iterator[None]:
        if self._any is not None:
            yield from _dismantle(self._any)
        for tables in (self._exact, self._wildcards):
            while tables:
                _, table = tables.popitem()
                yield from _dismantle(table)

    def find(self, path: bytes, facts: Facts) -> Candidate[Target] | None:
        """Return the most specific match, of any namespace."""
        host = facts.host
        table = self._exact.get(host)
        while table is not None:
            candidate = table.find(path, facts)
            if candidate is not None:
                return candidate
            table = table.beneath
        if self._wildcards:
            label, dot, parent = host.partition(b".")
            table = self._wildcards.get(parent) if dot and label else None
            while table is not None:
                candidate = table.find(path, facts)
                if candidate is not None:
                    return candidate
                table = table.beneath
        table = self._any
        while table is not None:
            candidate = table.find(path, facts)
            if candidate is not None:
                return candidate
            table = table.beneath
        return None

    def settle(self, candidate: Candidate[Target], path: bytes, facts: Facts) -> Candidate[Target] | None:
        """Return the most specific of the first matches that the namespaces have in their own orders.

        `candidate` is the most specific match, and mostly the first one of its namespace.
        """
        is_exact = host_rank(candidate.route) is HostRank.EXACT
        if self._is_first(candidate) and not self._is_divided and (is_exact or not self._owned):
            return candidate
        firsts: dict[str, Candidate[Target]] = {}  # by party, the most specific first
        owner = self._owner(facts.host) if self._owned else None
        for group in self._near(path, facts):
            for candidate in group:
                if owner is not None and tenant_of(candidate.route) != owner:
                    continue
                mine = party(candidate.route)
                earlier = firsts.get(mine)
                if earlier is not None and earlier.route.order <= candidate.route.order:
                    continue
                if not candidate.takes(path, facts):
                    continue
                firsts.pop(mine, None)
                firsts[mine] = candidate
                leader = next(iter(firsts.values()))
                if self._is_first(leader):
                    return leader
        return next(iter(firsts.values()), None)

    def _is_first(self, candidate: Candidate[Target]) -> bool:
        """Return whether no rule of its namespace comes before the route: it stands in the lowest order."""
        order = candidate.route.order
        return order <= self._lowest.get(party(candidate.route), order)

    def _near(self, path: bytes, facts: Facts) -> Iterator[Iterable[Candidate[Target]]]:
        """Yield candidates, the most specific first; of a divided table the first of each namespace."""
        for table in self._tables(facts.host):
            yield table.exact(path)
            if table.is_divided:
                yield table.firsts(path, facts)
            else:
                yield table.below(path)

    def _tables(self, host: bytes) -> Iterator[PathTable[Target]]:
        """Yield the tables of a host, the most specific first."""
        label, dot, parent = host.partition(b".")
        wildcard = self._wildcards.get(parent) if dot and label else None
        for table in (self._exact.get(host), wildcard, self._any):
            while table is not None:
                yield table
                table = table.beneath

    def _owner(self, host: bytes) -> str | None:
        """Return the namespace of the most specific rules of a host that is named, exactly or by wildcard."""
        any_host = self._any
        for table in self._tables(host):
            if table is any_host:
                return None
            tenant = next(table.tenants(), None)
            if tenant is not None:
                return tenant
        return None


def _at(tables: dict[bytes, PathTable[Target]], key: bytes) -> PathTable[Target]:
    table = tables.get(key)
    if table is None:
        table = tables[key] = PathTable()
    return table


def _beneath(table: PathTable[Target]) -> PathTable[Target]:
    if table.beneath is None:
        table.beneath = PathTable()
    return table.beneath


def _dismantle(table: PathTable[Target]) -> Iterator[None]:
    yield from table.dismantle()
    if table.beneath is not None:
        yield from table.beneath.dismantle()
