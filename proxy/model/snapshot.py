"""The snapshot: everything the data plane needs, as immutable values.

A snapshot is complete and numbered; a worker compiles it off the request path and swaps one
reference. Nothing here assumes our own worker: an xDS server can be fed from the same values.
Endpoints live beside the routes, not inside them, so that their churn never recompiles a route.
The values are trees, so the garbage collector is spared them: a hundred thousand routes are a million.
"""

from enum import StrEnum

import msgspec

from proxy.model.limits import Limits

SCHEMA = 1
"""Raised when an older worker could misread a newer snapshot; such a worker answers with a NACK."""


class Source(msgspec.Struct, frozen=True, gc=False):
    """The Kubernetes object a value was made from."""

    kind: str
    namespace: str
    name: str
    generation: int = 0


class Protocol(StrEnum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"


class Listener(msgspec.Struct, frozen=True, gc=False):
    """A port with a protocol. Times in seconds."""

    port: int
    source: Source
    protocol: Protocol = Protocol.HTTP
    address: str = ""  # "" is every address of the machine, IPv4 and IPv6
    idle_timeout_s: float = 65.0
    response_timeout_s: float = 60.0  # from the end of the request to the response head; then 504

    @property
    def name(self) -> str:
        return f"{self.protocol.lower()}-{self.port}"


class PathKind(StrEnum):
    EXACT = "exact"
    PREFIX = "prefix"  # element-wise: /foo covers /foo and /foo/bar, not /foobar
    GLOB = "glob"  # '*' is any run of characters, '?' exactly one
    REGEX = "regex"  # anchored at the start of the path


class PathMatch(msgspec.Struct, frozen=True, gc=False):
    kind: PathKind
    value: str
    ignore_case: bool = False


class HeaderCondition(msgspec.Struct, frozen=True, gc=False, tag="header"):
    """Holds when any value of the header matches any pattern ('*' and '?' are wildcards)."""

    name: str  # lower case
    patterns: tuple[str, ...]


Condition = HeaderCondition
"""All conditions of a route must hold. Becomes a union as further kinds are added."""


class SplitMode(StrEnum):
    ENDPOINTS = "endpoints"  # every usable endpoint of every cluster counts the same
    WEIGHTS = "weights"  # by the weights of the shares


class Share(msgspec.Struct, frozen=True, gc=False):
    """One cluster's configured part of a route. Weight 0 with SplitMode.WEIGHTS is a standby."""

    cluster: str
    weight: int = 0


class Split(msgspec.Struct, frozen=True, gc=False):
    """How a route's traffic is divided over clusters.

    `shares` names every cluster the route may use. A cluster without usable endpoints gives its
    share to the others in proportion; standbys serve when no cluster with a weight can.
    """

    mode: SplitMode
    shares: tuple[Share, ...]
    failover: bool = True  # False: only clusters with a weight ever get a byte
    failover_clusters: tuple[str, ...] = ()  # with failover: only these besides those with a weight


class Backend(msgspec.Struct, frozen=True, gc=False):
    """A service and its part of the route's traffic."""

    service: str  # Service.id
    weight: int = 100


class Forward(msgspec.Struct, frozen=True, gc=False, tag="forward"):
    """Send the request to one of the backends, in one of the clusters of the split."""

    backends: tuple[Backend, ...]
    split: Split


Action = Forward
"""What a route does. Becomes a union as redirects and fixed responses are added."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """One compiled rule."""

    id: str  # stable over edits elsewhere: namespace/ingress/rule index/path index
    source: Source
    ports: tuple[int, ...]  # the listeners it is installed on
    host: str  # "" any host, "*.example.com" exactly one label, else exact; lower case
    path: PathMatch
    action: Action
    conditions: tuple[Condition, ...] = ()
    order: int = 10  # the ALB annotation; lower wins before everything else
    created: str = ""  # creationTimestamp of the source, RFC 3339; the older wins


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """One pod address. `draining` endpoints serve only when their cluster has no other."""

    address: str  # IPv4 or IPv6 literal
    port: int
    draining: bool = False


class ClusterEndpoints(msgspec.Struct, frozen=True, gc=False):
    cluster: str
    endpoints: tuple[Endpoint, ...]


class Service(msgspec.Struct, frozen=True, gc=False):
    """One port of a Kubernetes Service name in a namespace, in any number of clusters."""

    id: str  # namespace/name:port
    clusters: tuple[ClusterEndpoints, ...]


class Cluster(msgspec.Struct, frozen=True, gc=False):
    """A member cluster as the control plane last saw it."""

    id: str
    synced: bool = True  # its objects were listed completely at least once
    stale: bool = False  # its API server does not answer; the endpoints are the last known ones


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    version: int
    listeners: tuple[Listener, ...] = ()
    routes: tuple[Route, ...] = ()
    services: tuple[Service, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    limits: Limits = Limits()
    trusted_proxies: tuple[str, ...] = ()  # networks (CIDR) that may say who the client is
    schema: int = SCHEMA
