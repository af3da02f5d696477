"""The snapshot: all data that a worker needs, as immutable values.

A snapshot is complete and numbered; a worker compiles it off the request path and swaps one
reference. Nothing here assumes our own worker: an xDS server can be fed from the same values.
Endpoints live beside the routes, not inside them, so that their churn never recompiles a route.
The values are trees, so the garbage collector is spared them: a hundred thousand routes are a million.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from proxy.model.actions import Action, Backend, Forward, Split
from proxy.model.conditions import Condition
from proxy.model.limits import Limits
from proxy.model.policies import Access, Policies
from proxy.model.tls import BackendTls, ListenerTls

SCHEMA = 7
"""Raised when an older worker could misread a newer snapshot; such a worker answers with a NACK."""


class Source(msgspec.Struct, frozen=True, gc=False):
    """The Kubernetes object a value was made from."""

    kind: str
    namespace: str
    name: str
    generation: int = 0


class ForwardedHeaders(msgspec.Struct, frozen=True, gc=False):
    """Which facts about a client the endpoints get besides X-Forwarded-For and X-Forwarded-Proto."""

    port: bool = False  # X-Forwarded-Port: of the listener
    client_port: bool = False  # X-Forwarded-Client-Port


class Listener(msgspec.Struct, frozen=True, gc=False):
    """A port, spoken to by HTTP, over TLS or in the clear. Times in seconds."""

    port: int
    source: Source
    address: str = ""  # "" is every address of the machine, IPv4 and IPv6
    idle_timeout_s: float = 65.0
    response_timeout_s: float = 60.0  # from the end of the request to the response head; then 504. 0: none
    access: Access | None = None
    forwarded: ForwardedHeaders = ForwardedHeaders()
    gzip: bool = False  # compress plain answers for clients that accept gzip
    tls: ListenerTls | None = None  # None: in the clear

    @property
    def name(self) -> str:
        return f"{'http' if self.tls is None else 'https'}-{self.port}"

    @property
    def protocol(self) -> str:
        """The protocol in the words of the dialects."""
        return "HTTP" if self.tls is None else "HTTPS"


class PathKind(StrEnum):
    EXACT = "exact"
    PREFIX = "prefix"  # element-wise: /foo covers /foo and /foo/bar, not /foobar
    GLOB = "glob"  # '*' is any run of characters, '?' exactly one
    REGEX = "regex"  # RE2 syntax, anchored at the start of the path


class PathMatch(msgspec.Struct, frozen=True, gc=False):
    kind: PathKind
    value: str
    ignore_case: bool = False


LAST_ORDER: Final = 1000
"""The highest order of a rule. Higher orders belong to default backends, which come after all rules."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """One compiled rule."""

    id: str  # names the content, not the position: begins with namespace/ingress; bounded, of printable ASCII
    source: Source
    ports: tuple[int, ...]  # the listeners it is installed on
    host: str  # "" any host, "*.example.com" exactly one label, else exact; lower case
    path: PathMatch
    action: Action
    conditions: tuple[Condition, ...] = ()
    policies: Policies | None = None
    priority: int = 0  # among routes with the same order, host and path the higher wins: canaries
    order: int = 10  # the ALB annotation; in its namespace the lower wins before everything else
    created: str = ""  # creationTimestamp of the source, RFC 3339; the older wins
    alias: bool = False  # the host is only an alias: rules that have it themselves come first
    tenant: str = ""  # the namespace among whose rules it stands; "": that of the source. Of canaries


def certificates_of(snapshot: "Snapshot") -> Iterator[str]:
    """Yield the ids of all certificates, and bundles of authorities, that a snapshot names."""
    for listener in snapshot.listeners:
        for host in listener.tls.hosts if listener.tls is not None else ():
            yield host.certificate
            yield host.client_ca
    for service in snapshot.services:
        if service.tls is not None:
            yield from (name for name in (service.tls.trust, service.tls.client) if name)


def tenant_of(route: Route) -> str:
    """Return the namespace in which the order of a route counts."""
    return route.tenant or route.source.namespace


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """One pod address. `draining` endpoints serve only when their cluster has no other.

    Endpoints that are `failing` their health checks serve only when no other endpoint can, in any cluster.
    """

    address: str  # IPv4 or IPv6 literal
    port: int
    draining: bool = False
    weight: int = 100  # its part of its cluster's traffic, in proportion; 0: none
    failing: bool = False


class ClusterEndpoints(msgspec.Struct, frozen=True, gc=False):
    """Endpoints in one cluster; `pods` is False for addresses that may each stand for many processes."""

    cluster: str
    endpoints: tuple[Endpoint, ...]
    pods: bool = True


class HealthCheck(msgspec.Struct, frozen=True, gc=False):
    """The health check of the endpoints of a service. Times in seconds."""

    protocol: str = "HTTP"  # or HTTPS, TCP
    method: str = "HEAD"
    path: str = "/"
    port: int = 0  # 0: the endpoint's
    statuses: tuple[int, ...] = (2,)  # first digits of the good statuses
    interval_s: float = 2.0
    timeout_s: float = 5.0
    healthy: int = 3  # good answers in a row after which the endpoint serves again
    unhealthy: int = 3  # bad answers in a row after which it is failing
    version: str = "1.1"  # of HTTP
    host: str = ""  # of the Host field; "": the address of the endpoint


class Service(msgspec.Struct, frozen=True, gc=False):
    """One port of a Kubernetes Service name in a namespace, in any number of clusters.

    Or a server group, whose zones stand for clusters.
    """

    id: str  # namespace/name:port
    clusters: tuple[ClusterEndpoints, ...]
    health: HealthCheck | None = None
    tls: BackendTls | None = None  # None: its endpoints are spoken to in the clear


class Cluster(msgspec.Struct, frozen=True, gc=False):
    """A member cluster as the control plane last saw it."""

    id: str
    synced: bool = True  # its objects were listed completely at least once
    stale: bool = False  # its API server does not answer; the endpoints are the last known ones


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    version: int
    listeners: tuple[Listener, ...] = ()
    routes: tuple[Route, ...] = ()  # in the order of the rules, which decides between routes of equal rank
    services: tuple[Service, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    limits: Limits = Limits()
    workers: int = 1  # that share the limits which hold for the whole gateway
    trusted_proxies: tuple[str, ...] = ()  # networks (CIDR) of proxies that may name the client
    gateway: str = ""  # the same in all replicas, in no other gateway; of 0-9 and a-z; "": no loop is found
    hosts_owned: bool = False  # only rules of the namespace that owns a host get its requests
    schema: int = SCHEMA


def destinations_of(route: Route) -> Iterator[tuple[str, Split]]:
    """Yield (service id, split) of all services that a route may send requests to, in no particular order."""
    for backend, split in _backends_of(route):
        own = backend.split or split
        yield backend.service, own
        for fallback in backend.fallbacks:
            yield fallback.service, fallback.split or own


def _backends_of(route: Route) -> Iterator[tuple[Backend, Split]]:
    action, policies = route.action, route.policies
    if isinstance(action, Forward):
        for backend in action.backends:
            yield backend, action.split
    if policies is not None and policies.mirror is not None:
        for backend in policies.mirror.backends:
            yield backend, policies.mirror.split
    if policies is not None and policies.errors is not None:
        yield policies.errors.backend, policies.errors.split
