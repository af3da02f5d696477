"""The views that the watchers of the API servers hand to the translation: plain, complete and immutable."""

from collections.abc import Mapping

import msgspec
from msgspec import field

from controlplane.resources.albconfig import AlbConfig
from controlplane.resources.endpointslice import EndpointSlice
from controlplane.resources.ingress import Ingress, IngressClass
from controlplane.resources.mseingressconfig import MseIngressConfig
from controlplane.resources.pod import Pod
from controlplane.resources.referencegrant import ReferenceGrant
from controlplane.resources.secret import Secret
from controlplane.resources.servergroup import ServerGroup
from controlplane.resources.service import Service


class Malformed(msgspec.Struct, frozen=True):
    """An object that could not be read. `error` is one line: field path and problem."""

    kind: str
    namespace: str
    name: str
    uid: str
    error: str

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.error}"


class TlsSecrets(msgspec.Struct, frozen=True):
    """The Secrets of type kubernetes.io/tls, by namespace and name, of namespaces where they are known.

    `denied` are namespaces where they may not be listed. `named` are single Secrets of any type by
    namespace/name, None where there is none; `named_denied` are those that may not be read.
    """

    by_namespace: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    named: Mapping[str, Secret | None] = field(default_factory=dict)
    named_denied: frozenset[str] = frozenset()


class FleetObjects(msgspec.Struct, frozen=True):
    """The objects of the Fleet by "namespace/name", or by "name" when cluster-scoped."""

    ingresses: Mapping[str, Ingress] = field(default_factory=dict)
    ingress_classes: Mapping[str, IngressClass] = field(default_factory=dict)
    albconfigs: Mapping[str, AlbConfig] = field(default_factory=dict)
    mse_configs: Mapping[str, MseIngressConfig] = field(default_factory=dict)
    server_groups: Mapping[str, ServerGroup] = field(default_factory=dict)
    reference_grants: Mapping[str, ReferenceGrant] = field(default_factory=dict)
    malformed: tuple[Malformed, ...] = ()


class MemberObjects(msgspec.Struct, frozen=True):
    """The objects of one member cluster by "namespace/name".

    `synced` is False until all objects were listed once: until then a missing object means nothing. `stale`
    means that its API server does not answer: the objects are the last known ones. `pods` are by namespace
    too, and only of namespaces where they are known; `pods_denied` are namespaces where they may not be
    listed.
    """

    cluster: str
    services: Mapping[str, Service] = field(default_factory=dict)
    slices: Mapping[str, EndpointSlice] = field(default_factory=dict)
    synced: bool = True
    stale: bool = False
    pods: Mapping[str, Mapping[str, Pod]] = field(default_factory=dict)
    pods_denied: frozenset[str] = frozenset()
    malformed: tuple[Malformed, ...] = ()
