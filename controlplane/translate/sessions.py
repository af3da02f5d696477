"""A cookie for each service of a site: two cookies of one name would undo each other at each request.

Browsers keep one cookie of a name for a host and path. Of the routes to which a browser may send the same
cookie the oldest keeps the name as written; the name for every other service ends in a mark of that service.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

import msgspec

from proxy.model.actions import Forward, Sticky, StickyMode
from proxy.model.snapshot import Route
from proxy.routing.rank import precedence

_MARK_DIGITS: Final = 8


def name_sessions(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the routes with a different cookie name for each service of a site."""
    by_cookie: dict[str, list[Route]] = defaultdict(list)
    for route in routes:
        sticky = _inserted(route)
        if sticky is not None:
            by_cookie[sticky.cookie].append(route)
    marked: dict[str, str] = {}  # names by the id of the route
    for cookie, alike in by_cookie.items():
        if len({_service(route) for route in alike}) > 1:
            marked |= dict(_marked(cookie, alike))
    if not marked:
        return routes
    return tuple(_named(route, marked[route.id]) if route.id in marked else route for route in routes)


def _inserted(route: Route) -> Sticky | None:
    """Return the session of a route if its cookie is ours to name."""
    if not isinstance(route.action, Forward) or route.action.balance is None:
        return None
    sticky = route.action.balance.sticky
    return sticky if sticky is not None and sticky.mode is StickyMode.INSERT else None


def _service(route: Route) -> str:
    """Return the services of a route's sessions; those of canaries belong to their base, too."""
    return route.action.backends[0].service if isinstance(route.action, Forward) else ""


def _marked(cookie: str, routes: Iterable[Route]) -> Iterator[tuple[str, str]]:
    """Yield id and new name of each route that shares a cookie with an older one of another service."""
    kept = _Owners()
    for route in sorted(routes, key=lambda route: precedence(route)[3:]):
        service = _service(route)
        if not kept.take(route.host, service):
            mark = sha256(service.encode()).hexdigest()[:_MARK_DIGITS]
            yield route.id, f"{cookie}-{mark}"


class _Owners:
    """Which service has the plain name, by host; a host with a wildcard meets those that it covers."""

    def __init__(self) -> None:
        self._exact: dict[str, str] = {}
        self._below: dict[str, set[str]] = defaultdict(set)  # by parent domain, of hosts and their wildcard
        self._wild: dict[str, str] = {}
        self._all: set[str] = set()
        self._any = ""

    def take(self, host: str, service: str) -> bool:
        """Return whether the service has the name at a host, and note it if so."""
        parent = host.partition(".")[2]
        if not host:
            others = self._all
        elif host.startswith("*."):
            others = self._below[parent] | {self._any}
        else:
            others = {self._exact.get(host, ""), self._wild.get(parent, ""), self._any}
        if others - {"", service}:
            return False
        self._all.add(service)
        if not host:
            self._any = service
            return True
        self._below[parent].add(service)
        if host.startswith("*."):
            self._wild[parent] = service
        else:
            self._exact[host] = service
        return True


def _named(route: Route, cookie: str) -> Route:
    action = route.action
    if not isinstance(action, Forward) or action.balance is None or action.balance.sticky is None:
        return route
    sticky = msgspec.structs.replace(action.balance.sticky, cookie=cookie)
    balance = msgspec.structs.replace(action.balance, sticky=sticky)
    return msgspec.structs.replace(route, action=msgspec.structs.replace(action, balance=balance))
