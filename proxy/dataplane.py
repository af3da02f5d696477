"""What all connections of a worker share: the route table behind one pointer, and what it is bound to."""

import asyncio
import os
from itertools import count

from proxy.http.memo import Memo
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.model.snapshot import Route, Service, Snapshot
from proxy.routing.table import RouteTable, compile_table
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import AttemptCounters, RouteCounters
from proxy.timers import TimerWheel
from proxy.upstream.connector import Connector
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services


class DataPlane:
    """One per worker. Swapping the configuration is one assignment to `table`."""

    __slots__ = (
        "_counters", "_request_ids", "_request_prefix", "attempts", "connector", "draining", "headers_memo",
        "lines_memo", "local", "log", "services", "snapshot", "table", "wheel",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, log: AccessLog | None) -> None:
        # For the life of the worker
        self.wheel = TimerWheel(loop)
        self.connector = Connector(loop, self.wheel)
        self.services = Services()
        self.headers_memo: Memo[RequestHeaders] = Memo()
        self.lines_memo: Memo[RequestLine] = Memo()
        self.log = log
        self.attempts = AttemptCounters()
        self.local = RouteCounters("")  # requests that no route was found for
        self.draining = False
        self._counters: dict[str, RouteCounters] = {}
        self._request_prefix = os.urandom(8).hex().encode()
        self._request_ids = count(1)
        # For the life of a snapshot
        self.snapshot = Snapshot(version=0)
        self.table: RouteTable[RoutePlan] = compile_table(self.snapshot, self._bind)

    def apply(self, snapshot: Snapshot) -> None:
        """Compile and swap. Raises RouteError, and then everything is as before."""
        table = compile_table(snapshot, self._bind)
        self.services.replace(snapshot.services, {s.service.id for p in table.targets for s in p.backends})
        self.table = table
        self.snapshot = snapshot
        wanted = {route.id for route in snapshot.routes}
        for route_id in [r for r in self._counters if r not in wanted]:
            del self._counters[route_id]

    def change_endpoints(self, services: tuple[Service, ...]) -> None:
        self.services.change(services)

    def request_id(self) -> bytes:
        return b"%b%08x" % (self._request_prefix, next(self._request_ids))

    def counters(self) -> list[RouteCounters]:
        return [self.local, *self._counters.values()]

    def _bind(self, route: Route) -> RoutePlan:
        counters = self._counters.get(route.id)
        if counters is None:
            counters = self._counters[route.id] = RouteCounters(route.id)
        return RoutePlan(route, self.services, counters)
