"""EndpointSlice of discovery.k8s.io/v1: some of the addresses behind a Service."""

import msgspec

from controlplane.resources.meta import ObjectMeta

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class EndpointConditions(msgspec.Struct, frozen=True):
    """None means "not said", which is not the same as False."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetRef(msgspec.Struct, frozen=True):
    """The object behind an endpoint, a Pod of the same namespace as a rule."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class SliceEndpoint(msgspec.Struct, frozen=True, rename="camel"):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None


class SlicePort(msgspec.Struct, frozen=True):
    """A target port; `port` None means "all ports"."""

    name: str = ""
    port: int | None = None
    protocol: str = "TCP"


class EndpointSlice(msgspec.Struct, frozen=True, rename="camel"):
    metadata: ObjectMeta = ObjectMeta()
    address_type: str = ""
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()
