"""State that all endpoints of one service in one cluster share: names, counters, the cluster's breaker."""

from proxy.clock import Clock
from proxy.model.tls import BackendTls
from proxy.upstream.algorithms.session_key import SessionKey
from proxy.upstream.connections.limits import ConnectionLimits
from proxy.upstream.evidence.breaker import ClusterBreaker


class ClusterState:
    """The shared state. Endpoints and clusters know it, so that endpoints need not know their cluster."""

    __slots__ = ("are_pods", "breaker", "clock", "cluster", "limits", "service", "session_key", "tls")

    def __init__(
        self, service: str, cluster: str, limits: ConnectionLimits, session_key: SessionKey, clock: Clock,
        *, are_pods: bool, tls: BackendTls | None = None,
    ) -> None:  # fmt: skip
        """`service` and `cluster` are names; `are_pods` is False where an address may stand for many."""
        self.service = service
        self.cluster = cluster
        self.limits = limits
        self.session_key = session_key
        self.clock = clock
        self.are_pods = are_pods
        self.tls = tls  # of new connections; None: they speak in the clear
        self.breaker = ClusterBreaker()
