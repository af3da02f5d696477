"""Actions of routes: forward a request to a cluster, or answer it here."""

from enum import StrEnum

import msgspec


class SplitMode(StrEnum):
    ENDPOINTS = "endpoints"  # every usable endpoint of every cluster counts the same
    WEIGHTS = "weights"  # by the weights of the shares


class Share(msgspec.Struct, frozen=True, gc=False):
    """One cluster's configured part of a route. Weight 0 with SplitMode.WEIGHTS is a standby.

    A cluster of a later priority level serves only when no cluster of an earlier one can.
    """

    cluster: str
    weight: int = 0
    priority: int = 0  # number of the priority level, 0 for the first


class Failback(msgspec.Struct, frozen=True, gc=False):
    """How a cluster of a split gets its share back after it could not serve. Times in seconds.

    It gets nothing for `delay_s`, then ever more of its share over `ramp_s`. With `manual` it gets nothing
    until it is let back. Either holds only while another cluster can serve.
    """

    ingress: str  # namespace/name of the Ingress with this failback: its clusters are let back together
    manual: bool = False
    delay_s: float = 0.0
    ramp_s: float = 0.0


class Split(msgspec.Struct, frozen=True, gc=False):
    """How a route's traffic is divided over clusters.

    `shares` names every cluster the route may use. A cluster without usable endpoints gives its
    share to the others in proportion; standbys serve when no cluster with a weight can.
    """

    mode: SplitMode
    shares: tuple[Share, ...]
    failover: bool = True  # False: only clusters with a weight in the first priority level ever get a byte
    failover_clusters: tuple[str, ...] = ()  # with failover: only these besides them
    failback: Failback | None = None  # None: as soon as the breaker of a cluster lets it


class Destination(msgspec.Struct, frozen=True, gc=False):
    """A service and how its traffic is divided over clusters."""

    service: str  # Service.id
    split: Split | None = None  # None: that of the route


class Backend(msgspec.Struct, frozen=True, gc=False):
    """A service and its part of the route's traffic.

    `fallbacks` serve, in this order, when the service has no usable endpoint in any allowed cluster.
    """

    service: str  # Service.id
    weight: int = 100
    split: Split | None = None  # None: that of the route
    fallbacks: tuple[Destination, ...] = ()


class HashSource(StrEnum):
    """The part of a request that is hashed."""

    CLIENT = "client"  # address
    URI = "uri"  # path and query
    PATH = "path"
    HOST = "host"
    HEADER = "header"
    QUERY = "query"
    COOKIE = "cookie"


class HashKey(msgspec.Struct, frozen=True, gc=False):
    """Requests with the same key go to the same endpoint for as long as it can serve."""

    source: HashSource
    name: str = ""  # of the header (lower case), query parameter or cookie
    then: tuple["HashKey", ...] = ()  # further parts of the key, in this order


class StickyMode(StrEnum):
    INSERT = "insert"  # a cookie of ours names the endpoint
    REWRITE = "rewrite"  # the endpoint's own cookie is prefixed with the name of the endpoint


class Sticky(msgspec.Struct, frozen=True, gc=False):
    """A session stays with its endpoint for as long as that can serve."""

    cookie: str
    mode: StickyMode = StickyMode.INSERT
    max_age_s: int | None = None  # None: for the browser's session
    path: str = "/"


class Algorithm(StrEnum):
    """How an endpoint is chosen inside a cluster."""

    LEAST_REQUEST = "least_request"  # the less busy of two; in turns when equally busy
    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    LEAST_CONNECTION = "least_connection"  # the least busy of all
    HASH = "hash"  # consistent, over clusters and endpoints


class Balance(msgspec.Struct, frozen=True, gc=False):
    algorithm: Algorithm = Algorithm.LEAST_REQUEST
    key: HashKey | None = None  # of Algorithm.HASH
    sticky: Sticky | None = None
    slow_start_s: float = 0.0  # seconds over which a new endpoint's part of the traffic grows


class Forward(msgspec.Struct, frozen=True, gc=False, tag="forward"):
    """Send the request to one of the backends, in one of the clusters of its split."""

    backends: tuple[Backend, ...]
    split: Split
    balance: Balance | None = None


class Redirect(msgspec.Struct, frozen=True, gc=False, tag="redirect"):
    """Answer with a Location. The parts are templates; missing parts are those of the request.

    Variables: ${protocol}, ${host} (without port), ${port}, ${path}, ${query} (without '?'),
    ${request_uri} (path and query), ${1} to ${9} (groups of the route's regular expression).
    """

    status: int
    protocol: str = "${protocol}"
    host: str = "${host}"
    port: str = "${port}"
    path: str = "${path}"
    query: str = "${query}"
    location: str = ""  # the whole URL; then the other parts are not used


class FixedResponse(msgspec.Struct, frozen=True, gc=False, tag="fixed"):
    """Answer with this. `content` is sent as UTF-8."""

    status: int
    content: str = ""
    content_type: str = "text/plain"


Action = Forward | Redirect | FixedResponse
"""The action of a route for requests that passed its policies."""
