"""Service of the core API: which port of a name goes to which port of its endpoints."""

import msgspec

from controlplane.resources.meta import ObjectMeta


class ServicePort(msgspec.Struct, frozen=True):
    name: str = ""
    port: int = 0
    protocol: str = "TCP"


class ServiceSpec(msgspec.Struct, frozen=True):
    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()


class Service(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()
