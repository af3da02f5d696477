"""Ingress and IngressClass of networking.k8s.io/v1."""

import msgspec

from controlplane.resources.meta import ObjectMeta


class ServiceBackendPort(msgspec.Struct, frozen=True):
    """A Service port by name or by number; the other one is "" or 0."""

    name: str = ""
    number: int = 0


class ServiceBackend(msgspec.Struct, frozen=True):
    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


class ResourceBackend(msgspec.Struct, frozen=True, rename="camel"):
    """A backend that is another kind of object than a Service."""

    api_group: str = ""
    kind: str = ""
    name: str = ""


class IngressBackend(msgspec.Struct, frozen=True):
    service: ServiceBackend | None = None
    resource: ResourceBackend | None = None


class IngressPath(msgspec.Struct, frozen=True, rename="camel"):
    path: str = ""
    path_type: str = ""
    backend: IngressBackend = IngressBackend()


class IngressRuleHTTP(msgspec.Struct, frozen=True):
    paths: tuple[IngressPath, ...] = ()


class IngressRule(msgspec.Struct, frozen=True):
    host: str = ""
    http: IngressRuleHTTP | None = None


class IngressTLS(msgspec.Struct, frozen=True, rename="camel"):
    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(msgspec.Struct, frozen=True, rename="camel"):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class Ingress(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: IngressSpec = IngressSpec()


class IngressClassParameters(msgspec.Struct, frozen=True, rename="camel"):
    api_group: str = ""
    kind: str = ""
    name: str = ""


class IngressClassSpec(msgspec.Struct, frozen=True):
    controller: str = ""
    parameters: IngressClassParameters | None = None


class IngressClass(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: IngressClassSpec = IngressClassSpec()
