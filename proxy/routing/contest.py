"""The routes that match one request, in the order in which the table takes them, with the reasons."""

import heapq
from collections.abc import Iterator
from enum import StrEnum

from proxy.model.snapshot import Route, tenant_of
from proxy.routing.rank import HostRank, Place, Standing, host_rank, party, place, rank, standing


class Precedence(StrEnum):
    """The reasons why one matching route comes before another, the most important first."""

    OWNER = "owner"  # the host belongs to another namespace
    ORDER = "order"  # in its namespace
    HOST = "host"  # exact before wildcard before any
    PATH_KIND = "path_kind"  # exact before prefix before pattern before /; among namespaces exact before all
    PATH_LENGTH = "path_length"
    SINCE = "since"  # another namespace has been at this place for longer
    PRIORITY = "priority"
    CONDITIONS = "conditions"  # the route with more of them
    AGE = "age"
    NAME = "name"
    PLACE = "place"  # in the same Ingress


_IN_NAMESPACE = (
    Precedence.ORDER, Precedence.HOST, Precedence.PATH_KIND, Precedence.PATH_LENGTH, Precedence.PRIORITY,
    Precedence.CONDITIONS, Precedence.AGE,
)  # fmt: skip
"""Reasons for the parts of a Rank; behind them come the name, and in one Ingress the place."""

_ACROSS = (Precedence.HOST, Precedence.PATH_KIND, Precedence.PATH_LENGTH, Precedence.SINCE, Precedence.NAME)
"""Reasons for the parts of a Standing."""


class Contest:
    """`owned`: only the namespace that has a host has rules for it."""

    def __init__(self, *, owned: bool = False) -> None:
        self._owned = owned
        self._owner: tuple[HostRank, str] | None = None
        self._since: dict[tuple[Place, str], str] = {}
        self._matching: dict[str, list[Route]] = {}  # matching routes by party

    def note(self, route: Route) -> None:
        """Note a route of the port and host, whether or not it matches the rest of the request."""
        key = place(route), tenant_of(route)
        self._since[key] = min(self._since.get(key, route.created), route.created)
        kind = host_rank(route)
        if kind < HostRank.ANY and (self._owner is None or kind < self._owner[0]):
            self._owner = kind, tenant_of(route)

    def enter(self, route: Route) -> None:
        """Let a route take part that matches, and was noted."""
        self._matching.setdefault(party(route), []).append(route)

    def in_turn(self) -> Iterator[tuple[Route, Precedence | None, Route | None]]:
        """Yield the matching routes, beginning with the one that is taken; each of the others comes with the
        rule and the route that beat it: the one that is taken, or the first of its own namespace.

        Where no matching route may have the request, all of them are beaten.
        """
        parties = [sorted(routes, key=rank) for routes in self._matching.values()]
        chosen: Route | None = None
        for route, first in self._merged([routes for routes in parties if self._may_win(routes[0])]):
            if chosen is None:
                chosen = route
                yield route, None, None
            elif first is route:
                yield route, self._across(chosen, route), chosen
            else:
                yield route, in_namespace(first, route), first
        for route, _ in self._merged([routes for routes in parties if not self._may_win(routes[0])]):
            yield route, Precedence.OWNER, None

    def _may_win(self, route: Route) -> bool:
        return not self._owned or self._owner is None or self._owner[1] == tenant_of(route)

    def _merged(self, parties: list[list[Route]]) -> Iterator[tuple[Route, Route]]:
        """Yield each route, the best of those that are next in their party; with the first of its party."""
        heads = [(self._standing(routes[0]), index, 0) for index, routes in enumerate(parties)]
        heapq.heapify(heads)
        while heads:
            _, index, position = heads[0]
            routes = parties[index]
            yield routes[position], routes[0]
            if position + 1 < len(routes):
                heapq.heapreplace(heads, (self._standing(routes[position + 1]), index, position + 1))
            else:
                heapq.heappop(heads)

    def _standing(self, route: Route) -> Standing:
        return standing(route, self._since[place(route), tenant_of(route)])

    def _across(self, winner: Route, loser: Route) -> Precedence:
        return _first_difference(_ACROSS, self._standing(winner), self._standing(loser), winner, loser)


def in_namespace(winner: Route, loser: Route) -> Precedence:
    """Return the first rule by which two routes of a namespace differ that both match."""
    return _first_difference(_IN_NAMESPACE, rank(winner), rank(loser), winner, loser)


def _first_difference(
    rules: tuple[Precedence, ...],
    winning: tuple[object, ...],
    losing: tuple[object, ...],
    winner: Route,
    loser: Route,
) -> Precedence:
    for rule, better, worse in zip(rules, winning, losing, strict=False):
        if better != worse:
            is_root = rule is Precedence.PATH_KIND and winner.path.kind is loser.path.kind
            return Precedence.PATH_LENGTH if is_root else rule
    return Precedence.NAME if winner.source != loser.source else Precedence.PLACE
