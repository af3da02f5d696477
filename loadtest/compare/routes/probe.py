"""Time per lookup, in the interpreter of one build of fleetgate: imports nothing but that, prints JSON.

Standard input is a snapshot, encoded as for a worker. Run by loadtest.compare.routes.
"""

import json
import sys
from collections.abc import Callable, Sequence
from random import Random
from statistics import median
from time import perf_counter

from proxy.http.request_line import RequestLine, Resource
from proxy.model.channel import Part, decode_routes, to_worker_framer
from proxy.model.conditions import HeaderCondition
from proxy.model.snapshot import Route
from proxy.routing.table import RouteTable

SAMPLE = 10_000
REPEATS = 9


class Fields:
    """The header fields of a request, as far as routing asks for them."""

    __slots__ = ("_values", "is_remembered")

    def __init__(self, values: dict[bytes, tuple[bytes, ...]], *, is_remembered: bool) -> None:
        self._values = values
        self.is_remembered = is_remembered

    def values(self, name: bytes) -> tuple[bytes, ...]:
        return self._values.get(name, ())


Request = tuple[bytes, bytes, Fields]
LINE = RequestLine(Resource(b"GET", b"/", b"/"), b"", 1)
CLIENT = b"192.0.2.1"


def request_for(route: Route, *, path: str = "", is_remembered: bool = False) -> Request:
    values: dict[bytes, tuple[bytes, ...]] = {
        c.name.encode(): (c.patterns[0].encode(),) for c in route.conditions if isinstance(c, HeaderCondition)
    }
    return (
        route.host.encode(),
        (path or route.path.value + "/item").encode(),
        Fields(values, is_remembered=is_remembered),
    )


def time_each(find: Callable[..., object], port: int, requests: Sequence[Request]) -> float:
    """Return the median, over the repeats, of the mean time of a lookup in µs."""
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        for host, path, fields in requests:
            find(port, host, path, fields, LINE, CLIENT)
        times.append((perf_counter() - start) / len(requests) * 1e6)
    return median(times)


def main() -> None:
    messages = to_worker_framer().feed(sys.stdin.buffer.read())
    routes = [route for part in messages if isinstance(part, Part) for route in decode_routes(part)]
    start = perf_counter()
    table: RouteTable[Route] = RouteTable(lambda route: route)
    for route in routes:
        table.add(route)
    filled = perf_counter() - start
    port = routes[0].ports[0]
    chosen = Random(0).choices(routes, k=SAMPLE)
    found = [request_for(route) for route in chosen]
    unknown = [request_for(route, path="/nothing/of/the/kind") for route in chosen]
    again = [request_for(route, is_remembered=True) for route in chosen[:1000]]
    if any(
        table.find(port, *request, LINE, CLIENT) is not route
        for request, route in zip(found, chosen, strict=True)
    ):
        raise SystemExit("a lookup found another route than the one meant")
    if any(table.find(port, *request, LINE, CLIENT) is not None for request in unknown):
        raise SystemExit("a lookup found a route where there is none")
    figures = {
        "fill_s": filled,
        "found_us": time_each(table.find, port, found),
        "unknown_us": time_each(table.find, port, unknown),
        "again_us": time_each(table.find, port, again),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
