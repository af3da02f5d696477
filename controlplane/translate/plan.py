"""One Ingress, understood on its own: what it asks for, before any other object is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.translate.annotations.failover import Failover
from controlplane.translate.annotations.listen_ports import ListenPort
from controlplane.translate.diagnostics import Subject
from proxy.model.actions import Backend
from proxy.model.conditions import Condition
from proxy.model.snapshot import PathMatch


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """One rule and path of an Ingress."""

    id: str
    field: str  # where it stands in the Ingress
    host: str
    path: PathMatch
    backends: tuple[Backend, ...]
    conditions: tuple[Condition, ...]
    order: int


@dataclass(frozen=True, slots=True)
class IngressPlan:
    subject: Subject
    created: str
    ports: tuple[ListenPort, ...] | None  # None: the default listeners
    weights: Mapping[str, int]  # by cluster id as written; empty: by endpoint count
    failover: Failover
    routes: tuple[PlannedRoute, ...]
