"""Service of the core API: which port of a name goes to which port of its endpoints, or of another host."""

import msgspec

from controlplane.resources.meta import ObjectMeta

EXTERNAL_NAME = "ExternalName"


class ServicePort(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    port: int = 0
    protocol: str = "TCP"
    target_port: int | str | None = None  # read of an ExternalName only: EndpointSlices say it of pods


class ServiceSpec(msgspec.Struct, frozen=True, rename="camel"):
    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()
    external_name: str = ""


class Service(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()
