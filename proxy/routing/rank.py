"""Which of two routes that both match goes first (DESIGN §4.1): one key, least first."""

from enum import IntEnum

from proxy.model.snapshot import PathKind, PathMatch, Route


class HostRank(IntEnum):
    EXACT = 0
    WILDCARD = 1
    ANY = 2


class PathRank(IntEnum):
    EXACT = 0
    PREFIX = 1
    PATTERN = 2
    ROOT = 3
    """The prefix "/": what covers everything comes last, or no pattern beside it were ever taken."""


Precedence = tuple[int, int, str, str, str]
Rank = tuple[int, HostRank, PathRank, int, int, int, str, str, str]
"""Order, host, kind and length of the path, then what `precedence` returns. Sorting by it must be stable:

routes of one Ingress that are equal in all of this keep their order, the first of them goes first.
"""


def host_rank(host: str) -> HostRank:
    if not host:
        return HostRank.ANY
    return HostRank.WILDCARD if host.startswith("*.") else HostRank.EXACT


def path_rank(path: PathMatch) -> PathRank:
    if path.kind is PathKind.EXACT:
        return PathRank.EXACT
    if path.kind is not PathKind.PREFIX:
        return PathRank.PATTERN
    return PathRank.PREFIX if path.value.strip("/") else PathRank.ROOT


def precedence(route: Route) -> Precedence:
    """Sort key among routes with the same order, host and path."""
    source = route.source
    return (
        -route.priority,
        -len(route.conditions),
        route.created,
        source.namespace,
        source.name,
    )


def pattern_precedence(route: Route) -> tuple[int, Precedence]:
    """Sort key among the patterns of a host: the longest first."""
    return -len(route.path.value), precedence(route)


def rank(route: Route) -> Rank:
    """Sort key among all routes that match a request."""
    kind = path_rank(route.path)
    if kind is PathRank.PATTERN:
        length, rest = pattern_precedence(route)
    else:
        length, rest = -len(route.path.value.rstrip("/")), precedence(route)
    return (route.order, host_rank(route.host), kind, length, *rest)
