"""The data plane: the route table behind one pointer, with all that it is bound to, for all connections."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Final

import msgspec

from proxy.clock import Clock
from proxy.http.forwarded import TrustedNetworks
from proxy.http.heads import Heads
from proxy.http.loops import UNNAMED, mark_of, pseudonym_of
from proxy.model.actions import FixedResponse
from proxy.model.channel import ChannelError, Ejection, Part, decode_routes, decode_services
from proxy.model.limits import Limits
from proxy.model.policies import Policies
from proxy.model.snapshot import Listener, Route, Service, Snapshot, destinations_of
from proxy.pace import Pace
from proxy.policies.access import AccessList
from proxy.policies.compiled import Compiled
from proxy.policies.compression import Compression
from proxy.policies.errors import PolicyError
from proxy.policies.limits import Limiters
from proxy.routing.match import RouteError
from proxy.routing.table import RouteTable
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import AttemptCounters, MirrorCounters, RouteCounters, SuppressedCounters
from proxy.timers import TimerWheel
from proxy.upstream.detection.corroboration import Corroboration
from proxy.upstream.detection.learning import Learning
from proxy.upstream.detection.outliers import OutlierDetection
from proxy.upstream.detection.prober import Prober
from proxy.upstream.detection.shared_ejections import SharedEjections
from proxy.upstream.detection.stalls import StallWatch
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failback import Meant
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.shared import Shared
from proxy.upstream.plan import RoutePlan
from proxy.upstream.retries.offered_load import OfferedLoad
from proxy.upstream.retries.replay import ReplayMemory
from proxy.upstream.service import Services

log = logging.getLogger(__name__)

_UNUSABLE: Final = FixedResponse(
    500, "500 Internal Server Error\nThe policies of this route cannot be used.\n"
)
_LOW_DIGITS: Final = [b"%03x" % number for number in range(4096)]


class SnapshotChange:
    """A snapshot on its way into the data plane, with its routes and services in parts."""

    __slots__ = ("failbacks", "newer", "parts", "referenced", "services", "snapshot", "told", "version")

    def __init__(self, snapshot: Snapshot, parts: Iterable[Part]) -> None:
        self.snapshot = snapshot
        self.parts = deque(parts)
        self.newer: dict[str, Service] = {}  # endpoints that came after the snapshot
        self.version = snapshot.version  # in use once the snapshot is applied: that of the newest endpoints
        self.told: list[Ejection] = []  # ejections of endpoints that the worker did not know then
        # Filled as the parts are compiled
        self.services: deque[Service] = deque()
        self.referenced: set[str] = set()  # services, by the routes
        self.failbacks: Meant = {}


class DataPlane:
    """The data plane of a worker. Swapping the configuration is one assignment to `table`."""

    __slots__ = (
        "_counters", "_random_prefix", "_request_low", "_request_prefix", "_request_prefixes", "attempts",
        "backlog", "clock", "compiled", "compression", "connector", "corroboration", "draining", "ejections",
        "heads", "learning", "limiters", "limits", "local", "log", "mark", "mirrors", "offered_load",
        "outliers", "prober", "pseudonym", "replay", "services", "stalls", "suppressed", "table", "trusted",
        "version", "wheel",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: AccessLog | None, shared: Shared | None = None
    ) -> None:
        """`shared`: the memory that the workers of the gateway share; None for a worker that is alone."""
        shared = shared or Shared()
        # For the life of the worker
        self.clock = Clock()
        self.wheel = TimerWheel(loop, self.clock)
        self.services = Services(shared.histories, self.clock)
        self.connector = Connector(loop, self.wheel, self.services)
        self.backlog = self.connector.backlog
        self.prober = Prober(loop, self.connector, self.services)
        self.ejections = SharedEjections()
        self.outliers = OutlierDetection(self.services, self.prober, self.ejections)
        self.connector.on_unreachable = self.outliers.on_unreachable
        self.corroboration = Corroboration(shared.board)
        self.stalls = StallWatch(
            loop, self.services, self.connector, self.prober, self.corroboration, self.ejections
        )
        self.offered_load = OfferedLoad(self.services)
        self.learning = Learning(self.stalls.pauses)
        self.heads = Heads()
        self.log = log
        self.attempts = AttemptCounters()
        self.suppressed = SuppressedCounters()
        self.mirrors = MirrorCounters()
        self.replay = ReplayMemory()
        self.limiters = Limiters()
        self.compression = Compression()
        self.local = RouteCounters("")  # requests that no route was found for
        self.draining = False
        self._counters: dict[str, RouteCounters] = {}
        self._random_prefix = os.urandom(8).hex().encode()
        self._request_prefixes = count(1)
        self._request_prefix = b""
        self._request_low = len(_LOW_DIGITS)
        # For the life of a snapshot
        self.version = 0
        self.limits = Limits()
        self.trusted = TrustedNetworks(())
        self.pseudonym = UNNAMED
        self.mark = b""  # field line by which this gateway recognizes its own requests
        self.table: RouteTable[RoutePlan] = RouteTable(self._bind)
        self.compiled = Compiled()

    async def apply(self, change: SnapshotChange) -> None:
        """Compile and swap, while requests go on; one change at a time.

        Raises RouteError, ChannelError (of a part), and then everything is as before.
        """
        pace = Pace()
        try:
            trusted = TrustedNetworks(change.snapshot.trusted_proxies)
        except ValueError as error:
            raise RouteError(f"trusted_proxies: {error}") from None
        _check(change.snapshot.listeners)
        table = RouteTable(self._bind, owned=change.snapshot.hosts_owned)
        try:
            await self._fill(table, change, pace)
        except (RouteError, ChannelError):
            await _dismantle(table, pace)
            raise
        # Each route names the clusters where it may go: its services can get their new endpoints before the
        # swap. Services that lose all their endpoints come after the swap, for until then requests go there.
        wanted: set[str] = set()
        while change.services:
            service = change.services.popleft()
            wanted.add(service.id)
            for _ in self.services.change_in_steps(change.newer.get(service.id, service)):
                if pace.is_over():
                    await pace.rest()
        self.believe(change.told)
        self.limiters.divide(change.snapshot.workers)
        self.version = change.version
        self.limits = self.connector.limits = change.snapshot.limits
        self.trusted = trusted
        self.pseudonym = pseudonym_of(change.snapshot.gateway)
        self.mark = mark_of(self.pseudonym)
        self.services.want_failbacks(change.failbacks)
        self.table, table = table, self.table
        self.compiled = Compiled()
        await _dismantle(table, pace)
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
                table.add(route, self.table)
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
        for service_id in list(self.services):
            if service_id not in wanted:
                self.services.forget(service_id, referenced=service_id in referenced)
            if pace.is_over():
                await pace.rest()
        for route_id in list(self._counters):
            if route_id not in self.table:
                del self._counters[route_id]
                self.limiters.forget(route_id)
                self.mirrors.forget(route_id)
            if pace.is_over():
                await pace.rest()

    def change_endpoints(self, services: tuple[Service, ...]) -> None:
        for service in services:
            self.services.change(service)

    def believe(self, ejections: Iterable[Ejection]) -> list[Ejection]:
        """Take over the ejections of another worker; return those of endpoints that are unknown here."""
        unknown = []
        for told in ejections:
            endpoint = self.services.find(told.service, told.cluster, told.address, told.port)
            if endpoint is None:
                unknown.append(told)
            else:
                self.stalls.believe(endpoint, stalled=told.stalled, unreachable=told.unreachable)
        return unknown

    def count_attempt(self, endpoint: LiveEndpoint, failure: Failure, to_cluster: str) -> None:
        """Count a failed attempt in the metrics; `to_cluster` is where the next one goes, "" without one."""
        self.attempts.record(endpoint.service, endpoint.cluster, to_cluster, failure.value)

    def request_id(self) -> bytes:
        """Return 24 hexadecimal digits that no other request has."""
        low = self._request_low
        if low == len(_LOW_DIGITS):
            low = 0
            self._request_prefix = self._random_prefix + b"%05x" % next(self._request_prefixes)
        self._request_low = low + 1
        return self._request_prefix + _LOW_DIGITS[low]

    def counters(self) -> list[RouteCounters]:
        return [self.local, *self._counters.values()]

    def _bind(self, route: Route) -> RoutePlan:
        counters = self._counters.get(route.id)
        if counters is None:
            counters = self._counters[route.id] = RouteCounters(route.id)
        try:
            return RoutePlan(route, self.services, counters, self.limiters, self.compiled)
        except ValueError as error:  # PolicyError, and other errors of unusable values
            # The control plane should have refused the route. Without its policies the route must not serve.
            log.error("route %s cannot be used: %s", route.id, error)
            closed = msgspec.structs.replace(route, action=_UNUSABLE, policies=None)
            return RoutePlan(closed, self.services, counters, self.limiters)


def _check(listeners: tuple[Listener, ...]) -> None:
    """Check the values of listeners. Raises RouteError for a value that no listener can use."""
    for listener in listeners:
        if listener.access is not None:
            try:
                AccessList(listener.access)
            except PolicyError as error:
                raise RouteError(f"listener {listener.name}: {error}") from None


async def _dismantle(table: RouteTable[RoutePlan], pace: Pace) -> None:
    for _ in table.dismantle():
        if pace.is_over():
            await pace.rest()
