"""A route table in one call, bound to the ids of its routes unless told otherwise."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from proxy.model.snapshot import Route
from proxy.routing.table import RouteTable


def table_of(
    routes: Iterable[Route],
    earlier: RouteTable[Any] | None = None,
    bind: Callable[[Route], Any] = attrgetter("id"),
    *,
    owned: bool = False,
) -> RouteTable[Any]:
    table = RouteTable(bind, owned=owned)
    for route in routes:
        table.add(route, earlier)
    return table
