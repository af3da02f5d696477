"""The configuration that a worker takes from a snapshot: route table, limits, facts of the gateway."""

from collections import deque
from collections.abc import Callable, Iterable

from proxy.http.forwarded import TrustedNetworks
from proxy.http.loops import UNNAMED, mark_of, pseudonym_of
from proxy.model.channel import Ejection, Part
from proxy.model.limits import Limits
from proxy.model.snapshot import Listener, Route, Service, Snapshot
from proxy.policies.access import AccessList
from proxy.policies.errors import PolicyError
from proxy.routing.match import RouteError
from proxy.routing.table import RouteTable
from proxy.upstream.evidence.failback import Meant
from proxy.upstream.plan import RoutePlan


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


class Configuration:
    """The configuration of one snapshot. Nothing changes in it once its table is filled."""

    __slots__ = ("limits", "mark", "pseudonym", "table", "trusted")

    def __init__(self, table: RouteTable[RoutePlan]) -> None:
        self.table = table
        self.limits = Limits()
        self.trusted = TrustedNetworks(())
        self.pseudonym = UNNAMED
        self.mark = b""  # field line by which this gateway recognizes its own requests


def configuration_of(snapshot: Snapshot, bind: Callable[[Route], RoutePlan]) -> Configuration:
    """Return the configuration of a snapshot, still without routes. Raises RouteError for unusable values."""
    configuration = Configuration(RouteTable(bind, owned=snapshot.hosts_owned))
    try:
        configuration.trusted = TrustedNetworks(snapshot.trusted_proxies)
    except ValueError as error:
        raise RouteError(f"trusted_proxies: {error}") from None
    _check(snapshot.listeners)
    configuration.limits = snapshot.limits
    configuration.pseudonym = pseudonym_of(snapshot.gateway)
    configuration.mark = mark_of(configuration.pseudonym)
    return configuration


def _check(listeners: tuple[Listener, ...]) -> None:
    """Check the values of listeners. Raises RouteError for a value that no listener can use."""
    for listener in listeners:
        if listener.access is not None:
            try:
                AccessList(listener.access)
            except PolicyError as error:
                raise RouteError(f"listener {listener.name}: {error}") from None
