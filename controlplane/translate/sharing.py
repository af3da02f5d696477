"""Hosts with rules of several namespaces: findings for both sides where one takes requests. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import field

from controlplane.translate.annotations.draft import DEFAULT_ORDER
from controlplane.translate.annotations.order import ORDER
from controlplane.translate.annotations.row import field_of
from controlplane.translate.conflicts import in_precedence
from controlplane.translate.diagnostics import Findings
from controlplane.translate.hosts import wildcard_above
from proxy.model.snapshot import LAST_ORDER, Route, tenant_of
from proxy.routing.rank import PathPlace, PathRank, path_place, path_rank

_SHOWN: Final = 3
_WHY: Final = {
    ("FG0713", "path"): "its path is more specific",
    ("FG0713", "host"): "its host is more specific",
    ("FG0713", "age"): "its path is as specific and its namespace has been there for longer",
    ("FG0714", "path"): "the path there is more specific",
    ("FG0714", "host"): "the host there is more specific",
    ("FG0714", "age"): "the path there is as specific and that namespace has been there for longer",
}


class _Host(msgspec.Struct):
    """The rules of one host and port; of rules with the same path the rule that is taken."""

    routes: list[Route] = field(default_factory=list)
    tenants: set[str] = field(default_factory=set)
    exact: dict[str, Route] = field(default_factory=dict)
    prefixes: dict[str, Route] = field(default_factory=dict)
    patterns: list[Route] = field(default_factory=list)
    root: Route | None = None
    firsts: dict[PathPlace, Route] = field(default_factory=dict)  # of those at a place the one that is taken

    def add(self, route: Route) -> None:
        self.routes.append(route)
        self.tenants.add(tenant_of(route))
        self.firsts.setdefault(path_place(route.path), route)
        kind, value = path_rank(route.path), route.path.value
        if kind is PathRank.EXACT:
            self.exact.setdefault(value, route)
        elif kind is PathRank.PREFIX:
            self.prefixes.setdefault(value.rstrip("/"), route)
        elif kind is PathRank.PATTERN:
            self.patterns.append(route)
        elif self.root is None:
            self.root = route

    def covering(self, route: Route, *, strictly: bool) -> Route | None:
        """Return the most specific rule that covers the path of a route; `strictly`: by a less specific one.

        Which paths a pattern covers is not worked out: it may cover all, so one of its own namespace says
        nothing about the others.
        """
        is_exact, own = path_place(route.path)
        if is_exact and not strictly and own in self.exact:
            return self.exact[own]
        start = own if is_exact or not strictly else own[: own.rfind("/")]
        while start:
            if start in self.prefixes:
                return self.prefixes[start]
            start = start[: start.rfind("/")]
        for pattern in self.patterns:
            if tenant_of(pattern) == tenant_of(route):
                continue
            if is_exact or not strictly or len(path_place(pattern.path)[1]) < len(own):
                return pattern
        return self.root if is_exact or not strictly or own else None


_Hosts = dict[tuple[int, str], _Host]


def report_sharing(routes: Iterable[Route], findings: Mapping[str, Findings]) -> None:
    """Add a finding to each Ingress that takes requests from rules of another namespace or loses some.

    And to each whose `order` does not count against such rules. `findings` are by "namespace/name".
    """
    routes = tuple(routes)
    if len({tenant_of(route) for route in routes}) < 2:
        return
    hosts = _by_host(routes)
    taken: defaultdict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for taker, loser, part in _pairs(hosts):
        example = f"{taker.host or '*'}{taker.path.value}"
        taken["FG0713", part, _key(taker)].setdefault(_key(loser), example)
        taken["FG0714", part, _key(loser)].setdefault(_key(taker), example)
    for code, part, key in sorted(taken):
        others = taken[code, part, key]
        shown = _listed([f"Ingress {name}" for name in sorted(others)])
        findings[key].add(code, "spec.rules", next(iter(others.values())), others=shown, why=_WHY[code, part])
    _report_orders(hosts, findings)


def _by_host(routes: Iterable[Route]) -> _Hosts:
    hosts: defaultdict[tuple[int, str], _Host] = defaultdict(_Host)
    for route in in_precedence(route for route in routes if route.order <= LAST_ORDER):
        for port in route.ports:
            hosts[port, route.host].add(route)
    return hosts


def _pairs(hosts: _Hosts) -> Iterator[tuple[Route, Route, str]]:
    """Yield a rule that takes requests, the rule of another namespace that loses them, and the reason."""
    for (port, name), host in hosts.items():
        if not name:
            continue
        if len(host.tenants) > 1:
            for route in host.routes:
                loser = host.covering(route, strictly=True)
                if loser is not None and tenant_of(loser) != tenant_of(route):
                    yield route, loser, "path"
                taker = host.firsts[path_place(route.path)]
                if tenant_of(taker) != tenant_of(route) and not _is_equal(taker, route):
                    yield taker, route, "age"
        wildcard = wildcard_above(name)
        above = hosts.get((port, wildcard)) if wildcard is not None else None
        if above is not None and len(host.tenants | above.tenants) > 1:
            yield from _below_wildcard(host, above)


def _is_equal(taker: Route, loser: Route) -> bool:
    """Whether the second rule never matches, which has a finding of its own."""
    return taker.path == loser.path and set(taker.conditions) == set(loser.conditions)


def _below_wildcard(host: _Host, above: _Host) -> Iterator[tuple[Route, Route, str]]:
    for route in host.routes:
        loser = above.covering(route, strictly=False)
        if loser is not None and tenant_of(loser) != tenant_of(route):
            yield route, loser, "host"
    for loser in above.routes:
        taker = host.covering(loser, strictly=False)
        if taker is not None and tenant_of(taker) != tenant_of(loser):
            yield taker, loser, "host"


def _report_orders(hosts: _Hosts, findings: Mapping[str, Findings]) -> None:
    """Report each Ingress with an order that does not count for a host that its rules have or cover."""
    told: set[str] = set()
    covered = _covered(hosts)
    for (port, name), host in hosts.items():
        for route in host.routes:
            key = _key(route)
            if route.order == DEFAULT_ORDER or key in told:
                continue
            others = {tenant_of(other) for other in host.routes if other.order != route.order} | covered.get(
                (port, name), set()
            )
            others.discard(tenant_of(route))
            if others:
                told.add(key)
                findings[key].add(
                    "FG0712",
                    field_of(ORDER.keys[0]),
                    route.order,
                    order=route.order,
                    own=route.source.namespace,
                    host=name if name and not name.startswith("*") else "hosts that its rules cover",
                    others=_listed([f"the namespace {other}" for other in sorted(others)]),
                )


def _covered(hosts: _Hosts) -> dict[tuple[int, str], set[str]]:
    """Return which namespaces have rules with a more specific host, by port and host."""
    covered: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for (port, name), host in hosts.items():
        if name:
            covered[port, ""] |= host.tenants
        wildcard = wildcard_above(name)
        if wildcard is not None:
            covered[port, wildcard] |= host.tenants
    return covered


def _key(route: Route) -> str:
    return f"{route.source.namespace}/{route.source.name}"


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
