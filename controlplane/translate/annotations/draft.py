"""The draft of an Ingress: each family of annotations adds its part, and the planning of rules reads it."""

import dataclasses
from collections.abc import Mapping

import msgspec
from msgspec import field

from controlplane.translate.paths import LITERAL, PathOptions
from proxy.model.actions import Algorithm, Balance, HashKey, Redirect, Sticky
from proxy.model.conditions import Condition
from proxy.model.policies import (
    Access,
    ConcurrencyLimit,
    Cors,
    HeaderChange,
    Policies,
    RateLimit,
    ResponseRule,
    Retry,
    Rewrite,
)
from proxy.model.snapshot import HealthCheck

ListenPort = tuple[str, int]
"""Protocol and port."""

DEFAULT_ORDER = 10


class PlannedFailover(msgspec.Struct, frozen=True):
    """Where requests may go when their cluster is dead. `clusters` None is every attached one, () none."""

    clusters: tuple[str, ...] | None = None


class PlannedFailback(msgspec.Struct, frozen=True):
    """When a cluster that has failed gets its share back. Times in seconds."""

    manual: bool = False
    delay_s: float = 0.0
    ramp_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedBackend:
    """A Service, or a server group when `group` (its spec.id or name) is given."""

    service: str = ""  # Service.id
    weight: int = 100
    group: str = ""
    fallbacks: tuple["PlannedBackend", ...] = ()  # serve, in this order, when it has no endpoint at all
    # The annotation that names the backend, "" where the rule does
    place: str = dataclasses.field(default="", compare=False)


class Canary(msgspec.Struct, frozen=True):
    """An Ingress that takes a part of the traffic of another Ingress with the same host and path.

    Requests with its `condition`, the canary with the higher `priority` before others; or, without
    a condition, `weight` of `total`.
    """

    condition: Condition | None = None
    priority: int = 0
    weight: int = 0
    total: int | None = None  # None: not said
    field: str = ""  # of the annotation that decides


class PlannedCheck(msgspec.Struct, frozen=True):
    """A health check of every service of the Ingress; `field` is the annotation that asks for it."""

    check: HealthCheck
    field: str


class PlannedTls(msgspec.Struct, frozen=True):
    """TLS towards the endpoints of all Services of the Ingress."""

    verify: bool = False
    tells_name: bool = False  # by SNI
    name: str = ""  # "": that of each Service, <service>.<namespace>.svc
    secret: str = ""  # namespace/name; "": none
    field: str = ""  # of the annotation that names the Secret


class HttpsRedirect(msgspec.Struct, frozen=True):
    """A redirect of requests that came by http to https; `field` is the annotation that asks for it."""

    redirect: Redirect
    field: str


class Draft(msgspec.Struct):
    namespace: str

    # Listeners and match of the rules
    ports: tuple[ListenPort, ...] | None = None
    order: int = DEFAULT_ORDER
    conditions: list[Condition] = field(default_factory=list)  # of every rule
    aliases: tuple[str, ...] = ()  # hosts besides that of a rule
    paths: PathOptions = LITERAL

    # Clusters
    weights: Mapping[str, int] = field(default_factory=dict)
    weights_key: str = ""  # the annotation that names the clusters; "": ALB's
    failover: PlannedFailover = field(default_factory=PlannedFailover)
    failback: PlannedFailback | None = None  # None: as soon as it can serve
    priority_levels: tuple[tuple[str, ...], ...] = ()
    min_tls: str = ""  # version of TLS; "": the listener's
    max_tls: str = ""  # version of TLS; "": the newest
    ciphers: tuple[str, ...] = ()  # of TLS 1.2; (): all that are safe
    client_ca: str = ""  # name of the Secret whose authorities sign the certificates of clients
    client_ca_field: str = ""
    canary: Canary | None = None

    # Services
    labels: Mapping[str, str] = field(default_factory=dict)  # only these pods serve; all if there are none
    overrides: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by cluster: Service name, port
    backends: tuple[PlannedBackend, ...] | None = None  # instead of those of the rules
    default_backend: PlannedBackend | None = None  # serves when a Service has no endpoint
    health: PlannedCheck | None = None

    tls: PlannedTls | None = None  # None: endpoints are spoken to in the clear

    # Actions and policies of the rules
    answer: Redirect | None = None  # instead of forwarding
    to_https: HttpsRedirect | None = None
    app_root: str = ""  # where "/" is redirected to
    app_root_field: str = ""  # the annotation that says so
    mirror: tuple[PlannedBackend, ...] = ()
    mirror_percent: int = 100
    error_statuses: tuple[int, ...] = ()
    access: Access | None = None
    host_access: Access | None = None  # of all rules of its hosts and namespace without one
    rate_limits: list[RateLimit] = field(default_factory=list)
    concurrency: ConcurrencyLimit | None = None
    cors: Cors | None = None
    rewrite: Rewrite | None = None
    request_headers: list[HeaderChange] = field(default_factory=list)
    response_headers: list[HeaderChange] = field(default_factory=list)
    response_rules: list[ResponseRule] = field(default_factory=list)
    hsts: str | None = None
    retry: Retry | None = None
    response_timeout_s: float | None = None
    max_body_bytes: int | None = None

    # Endpoints
    algorithm: Algorithm | None = None
    hash_key: HashKey | None = None
    sticky: Sticky | None = None
    slow_start_s: float = 0.0

    def balance(self, sticky: Sticky | None = None) -> Balance | None:
        """Return how endpoints are chosen, with the session of a rule if it has one; None for as usual."""
        balance = Balance(
            self.algorithm or Algorithm.LEAST_REQUEST, self.hash_key, sticky or self.sticky, self.slow_start_s
        )
        return balance if balance != Balance() else None

    def policies(self) -> Policies | None:
        """Return the policies of all rules; None when there are none."""
        policies = Policies(
            access=self.access,
            rate_limits=tuple(self.rate_limits),
            concurrency=self.concurrency,
            cors=self.cors,
            to_https=self.to_https.redirect if self.to_https is not None else None,
            rewrite=self.rewrite,
            request_headers=tuple(self.request_headers),
            retry=self.retry,
            max_body_bytes=self.max_body_bytes,
            response_timeout_s=self.response_timeout_s,
            response_headers=tuple(self.response_headers),
            response_rules=tuple(self.response_rules),
            hsts=self.hsts,
        )
        return policies if policies != Policies() else None
