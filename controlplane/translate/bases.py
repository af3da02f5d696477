"""The base of a canary's route: the route that would take its requests if there were no canary."""

from collections.abc import Iterable, Iterator

from controlplane.translate.grants import Grants
from proxy.model.conditions import Condition
from proxy.model.snapshot import PathMatch, Route, tenant_of
from proxy.routing.rank import precedence

_Place = tuple[int, str, PathMatch, frozenset[Condition]]
"""Port, host, path and conditions, which a canary and its base have in common."""

Bases = dict[_Place, dict[str, Route]]
"""Routes by place and namespace, beginning with the namespace that has been there for longest."""


def bases_of(plain: Iterable[Route], canaries: Iterable[Route]) -> Bases:
    """Return, where a canary has a rule, the routes that the namespaces take there without it."""
    wanted = {place for route in canaries for place in _places(route)}
    hosts = {host for _, host, _, _ in wanted}
    found: Bases = {}
    for route in sorted((route for route in plain if route.host in hosts), key=_age):
        for place in _places(route):
            if place in wanted:
                bases = found.setdefault(place, {})
                earlier = bases.get(tenant_of(route))
                if earlier is None or _rank(route) < _rank(earlier):
                    bases[tenant_of(route)] = route
    return found


def _age(route: Route) -> tuple[bool, str, str]:
    return route.alias, route.created, tenant_of(route)


def _rank(route: Route) -> tuple[object, ...]:
    return route.alias, precedence(route)


def base_of(route: Route, bases: Bases, grants: Grants) -> tuple[Route | None, str]:
    """Return the base that a canary's rule may join, else the namespace of a base that it may not join."""
    namespace = route.source.namespace
    refused = ""
    for place in _places(route):
        there = bases.get(place, {})
        if namespace in there:
            return there[namespace], ""
        for tenant, base in there.items():
            if grants.allow_ingress(namespace, tenant, base.source.name):
                return base, ""
            refused = refused or tenant
    return None, refused


def _places(route: Route) -> Iterator[_Place]:
    conditions = frozenset(route.conditions)
    return ((port, route.host, route.path, conditions) for port in route.ports)
