"""Which of two routes that both match goes first (docs/decisions.md): keys, least first.

Each namespace has a first match of its own, in its own order (`rank`). Among these the most specific host and
path win, then the namespace that has been at that place for longest (`standing`). How many conditions a rule
has counts in its namespace only: with a condition that always holds it would take all requests of a place.
So does the length of a pattern: among namespaces it is as specific as the text with which its paths begin.
"""

from enum import IntEnum

from proxy.model.snapshot import LAST_ORDER, PathKind, PathMatch, Route, tenant_of
from proxy.routing.patterns import glob_beginning, regex_beginning


class HostRank(IntEnum):
    EXACT = 0
    EXACT_ALIAS = 1
    WILDCARD = 2
    WILDCARD_ALIAS = 3
    ANY = 4
    DEFAULT = 5
    """A default backend: below every rule of every namespace."""


class PathRank(IntEnum):
    EXACT = 0
    PREFIX = 1
    PATTERN = 2
    ROOT = 3
    """The prefix "/" covers every path, so it comes last: before patterns, it would take all their requests.
    """


Precedence = tuple[int, int, int, str, str, str]
Rank = tuple[int, HostRank, PathRank, int, int, int, str, str, str]
"""Order, host, kind and length of the path, then priority, conditions, age and name.

Sorting by it must be stable: routes of one Ingress that are equal in all of this keep their order, the first
of them goes first.
"""

PathPlace = tuple[bool, str]
"""Whether the path is an exact one, and the text with which its paths begin, without slashes at the end."""

Place = tuple[HostRank, str, bool, str]
"""Host and path, where age decides between routes."""

Standing = tuple[HostRank, bool, int, str, str]
"""Host, whether the path is no exact one, less its length, since when the namespace is there, its name."""


def host_rank(route: Route) -> HostRank:
    if not route.host:
        return HostRank.DEFAULT if route.order > LAST_ORDER else HostRank.ANY
    if route.host.startswith("*."):
        return HostRank.WILDCARD_ALIAS if route.alias else HostRank.WILDCARD
    return HostRank.EXACT_ALIAS if route.alias else HostRank.EXACT


def path_rank(path: PathMatch) -> PathRank:
    if path.kind is PathKind.EXACT:
        return PathRank.EXACT
    if path.kind is not PathKind.PREFIX:
        return PathRank.PATTERN
    return PathRank.PREFIX if path.value.strip("/") else PathRank.ROOT


def path_length(path: PathMatch) -> int:
    return len(path.value if path_rank(path) is PathRank.PATTERN else path.value.rstrip("/"))


def path_place(path: PathMatch) -> PathPlace:
    """Return the path part of a place."""
    if path.kind is PathKind.EXACT:
        return True, path.value
    if path.kind is PathKind.PREFIX:
        return False, path.value.rstrip("/")
    beginning = glob_beginning(path.value) if path.kind is PathKind.GLOB else regex_beginning(path.value)
    return False, (beginning.lower() if path.ignore_case else beginning).rstrip("/")


def place(route: Route) -> Place:
    is_exact, text = path_place(route.path)
    return host_rank(route), route.host, is_exact, text


def party(route: Route) -> str:
    """Return whose order a route stands in: the rules of a namespace, or its default backends."""
    tenant = tenant_of(route)
    return f"{tenant}/" if host_rank(route) is HostRank.DEFAULT else tenant


def precedence(route: Route) -> Precedence:
    """Sort key among the routes of a namespace with the same host and path."""
    source = route.source
    return (
        route.order,
        -route.priority,
        -len(route.conditions),
        route.created,
        source.namespace,
        source.name,
    )


def rank(route: Route) -> Rank:
    """Sort key among all routes of a namespace that match a request."""
    order, priority, conditions, created, namespace, name = precedence(route)
    host, kind, length = host_rank(route), path_rank(route.path), -path_length(route.path)
    return (order, host, kind, length, priority, conditions, created, namespace, name)


def standing(route: Route, since: str) -> Standing:
    """Sort key among the first matches of all namespaces; `since`: the age of the oldest rule of the route's
    namespace at its place."""
    is_exact, text = path_place(route.path)
    return (host_rank(route), not is_exact, -len(text), since, tenant_of(route))
