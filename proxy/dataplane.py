"""The data plane: the configuration behind one pointer, with all that it is bound to, for all connections."""

import asyncio
import logging
from typing import Final

import msgspec

from proxy.backlog import Backlog
from proxy.clock import Clock
from proxy.configuration import Configuration, SnapshotChange, configuration_of
from proxy.http.heads import Heads
from proxy.http2.memory import KnownTables
from proxy.model.actions import FixedResponse
from proxy.model.channel import ChannelError, decode_routes, decode_services
from proxy.model.policies import Policies
from proxy.model.snapshot import Route, Service, destinations_of
from proxy.pace import Pace
from proxy.policies.compiled import Compiled
from proxy.policies.compression import Compression
from proxy.policies.limits import Limiters
from proxy.routing.match import RouteError
from proxy.routing.table import RouteTable
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import RequestCounters
from proxy.telemetry.request_ids import RequestIds
from proxy.timers import TimerWheel
from proxy.tls.contexts import Contexts
from proxy.upstream.evidence.shared import Shared
from proxy.upstream.plan import RoutePlan
from proxy.upstream.upstream import Upstream

log = logging.getLogger(__name__)

_UNUSABLE: Final = FixedResponse(
    500, "500 Internal Server Error\nThe policies of this route cannot be used.\n"
)


class DataPlane:
    """The data plane of a worker. Swapping the configuration is one assignment to `config`."""

    __slots__ = (
        "_compiled", "backlog", "clock", "compression", "config", "contexts", "counters", "draining", "heads",
        "http2_tables", "ids", "limiters", "log", "upstream", "version", "wheel",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: AccessLog | None, shared: Shared | None = None
    ) -> None:
        """`shared`: the memory that the workers of the gateway share; None for a worker that is alone."""
        # For the life of the worker
        self.clock = Clock()
        self.wheel = TimerWheel(loop, self.clock)
        self.backlog = Backlog(loop, self.clock)
        self.upstream = Upstream(loop, self.wheel, self.backlog, shared or Shared())
        self.heads = Heads()
        self.http2_tables = KnownTables()
        self.log = log
        self.ids = RequestIds()
        self.counters = RequestCounters()
        self.limiters = Limiters()
        self.compression = Compression()
        self.contexts = Contexts()
        self.draining = False
        # For the life of a snapshot
        self.version = 0  # of the newest endpoints
        self.config = Configuration(RouteTable(self._bind))
        self._compiled = Compiled()

    async def apply(self, change: SnapshotChange) -> None:
        """Compile and swap, while requests go on; one change at a time.

        Raises RouteError, ChannelError (of a part), and then everything is as before.
        """
        pace = Pace()
        services = self.upstream.services
        config = configuration_of(change.snapshot, self._bind)
        try:
            await self._fill(config.table, change, pace)
        except (RouteError, ChannelError):
            await _dismantle(config.table, pace)
            raise
        # Each route names the clusters where it may go: its services can get their new endpoints before the
        # swap. Services that lose all their endpoints come after the swap, for until then requests go there.
        wanted: set[str] = set()
        while change.services:
            service = change.services.popleft()
            wanted.add(service.id)
            for _ in services.change_in_steps(change.newer.get(service.id, service)):
                if pace.is_over():
                    await pace.rest()
        self.upstream.believe(change.told)
        self.limiters.divide(change.snapshot.workers)
        self.version = change.version
        self.upstream.connector.limits = config.limits
        services.want_failbacks(change.failbacks)
        self.config, replaced = config, self.config
        self._compiled = Compiled()
        await _dismantle(replaced.table, pace)
        await self._forget(wanted, change.referenced, pace)

    async def _fill(self, table: RouteTable[RoutePlan], change: SnapshotChange, pace: Pace) -> None:
        policies: dict[Policies, Policies] = {}  # one object for all routes with equal ones
        while change.parts:
            part = change.parts.popleft()
            change.services.extend(decode_services(part))
            for route in decode_routes(part):
                if route.policies is not None:
                    same = policies.setdefault(route.policies, route.policies)
                    msgspec.structs.force_setattr(route, "policies", same)
                table.add(route, self.config.table)
                for service_id, split in destinations_of(route):
                    change.referenced.add(service_id)
                    if split.failback is not None:
                        change.failbacks.setdefault(service_id, {})[split.failback.ingress] = split.failback
                if pace.is_over():
                    await pace.rest()
            if pace.is_over():
                await pace.rest()

    async def _forget(self, wanted: set[str], referenced: set[str], pace: Pace) -> None:
        """Drop the services and counters that the snapshot does not have."""
        services = self.upstream.services
        for service_id in list(services):
            if service_id not in wanted:
                services.forget(service_id, referenced=service_id in referenced)
            if pace.is_over():
                await pace.rest()
        for route_id in self.counters.routes():
            if route_id not in self.config.table:
                self.counters.forget(route_id)
                self.limiters.forget(route_id)
            if pace.is_over():
                await pace.rest()

    def change_endpoints(self, services: tuple[Service, ...]) -> None:
        for service in services:
            self.upstream.services.change(service)

    def _bind(self, route: Route) -> RoutePlan:
        counters, services = self.counters.of(route.id), self.upstream.services
        try:
            return RoutePlan(route, services, counters, self.limiters, self._compiled)
        except ValueError as error:  # PolicyError, and other errors of unusable values
            # The control plane should have refused the route. Without its policies the route must not serve.
            log.error("route %s cannot be used: %s", route.id, error)
            closed = msgspec.structs.replace(route, action=_UNUSABLE, policies=None)
            return RoutePlan(closed, services, counters, self.limiters)


async def _dismantle(table: RouteTable[RoutePlan], pace: Pace) -> None:
    for _ in table.dismantle():
        if pace.is_over():
            await pace.rest()
