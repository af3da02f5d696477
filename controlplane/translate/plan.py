"""The plan of one Ingress on its own, before any other object is considered."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import field

from controlplane.resources.ingress import IngressTLS
from controlplane.translate.annotations.draft import (
    Canary,
    ListenPort,
    PlannedBackend,
    PlannedCheck,
    PlannedFailback,
    PlannedFailover,
    PlannedTls,
)
from controlplane.translate.diagnostics import Subject
from proxy.model.actions import Balance, FixedResponse, Redirect
from proxy.model.conditions import Condition
from proxy.model.policies import Access, Policies
from proxy.model.snapshot import PathMatch

DEFAULT_BACKEND: Final = "spec.defaultBackend"


class PlannedForward(msgspec.Struct, frozen=True):
    """Forward to these backends; the clusters are those of the whole Ingress."""

    backends: tuple[PlannedBackend, ...]
    balance: Balance | None = None


class PlannedMirror(msgspec.Struct, frozen=True):
    backends: tuple[PlannedBackend, ...]
    percent: int = 100


class PlannedErrors(msgspec.Struct, frozen=True):
    """Statuses whose answers the default backend replaces."""

    statuses: tuple[int, ...]
    backend: PlannedBackend


class PlannedRoute(msgspec.Struct, frozen=True):
    """One rule and path of an Ingress. `policies` are without mirror and errors, which need clusters."""

    field: str  # where it stands in the Ingress
    host: str
    path: PathMatch
    action: PlannedForward | Redirect | FixedResponse
    conditions: tuple[Condition, ...]
    order: int
    policies: Policies | None = None
    mirror: PlannedMirror | None = None
    errors: PlannedErrors | None = None
    default_backend: PlannedBackend | None = None  # which is among the fallbacks of the action
    alias: bool = False  # the host is an alias, which the Ingress takes besides its own hosts
    id: str = ""  # given when all routes of the Ingress are known


class Closed(msgspec.Struct, frozen=True):
    """The annotations that protect an Ingress and cannot be honoured; `never`: not with any value."""

    keys: frozenset[str]
    never: bool


class IngressPlan(msgspec.Struct, frozen=True):
    subject: Subject
    created: str
    ports: tuple[ListenPort, ...] | None  # None: the default listeners
    weights: Mapping[str, int]  # by cluster id as written; empty: by endpoint count
    weights_key: str  # the annotation that names the clusters; "": ALB's
    failover: PlannedFailover
    routes: tuple[PlannedRoute, ...]
    # Ids of clusters, the first level in front; () for one level of all
    priority_levels: tuple[tuple[str, ...], ...] = ()
    failback: PlannedFailback | None = None
    canary: Canary | None = None
    host_access: Access | None = None  # of all rules of its hosts and namespace without one
    health: PlannedCheck | None = None
    backend_tls: PlannedTls | None = None  # towards the endpoints of its Services; not of server groups
    closed: Closed | None = None  # then the routes answer 503
    tls: tuple[IngressTLS, ...] = ()  # spec.tls
    min_tls: str = ""  # the lowest version for its hosts; "": the listener's
    max_tls: str = ""  # the highest version; "": the newest
    ciphers: tuple[str, ...] = ()  # of TLS 1.2; (): all that are safe
    client_ca: str = ""  # name of the Secret whose authorities sign the certificates of its clients
    client_ca_field: str = ""
    to_https: str = ""  # the annotation that redirects requests that came by http
    app_root: str = ""  # the annotation that redirects / of each host
    work: Mapping[str, int] = field(default_factory=dict)  # by host: steps per octet, no less than they are
