"""The kinds that the gateway reads: where the API server serves them, and their views."""

from typing import Final, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from controlplane.resources.albconfig import AlbConfig
from controlplane.resources.endpointslice import EndpointSlice
from controlplane.resources.ingress import Ingress, IngressClass
from controlplane.resources.mseingressconfig import MseIngressConfig
from controlplane.resources.pod import Pod
from controlplane.resources.referencegrant import ReferenceGrant
from controlplane.resources.secret import Secret
from controlplane.resources.servergroup import ServerGroup
from controlplane.resources.service import Service

T = TypeVar("T")


class Kind(msgspec.Struct, Generic[T], frozen=True):
    """A kind of object, its REST path and its typed view."""

    group: str  # "" is the core group
    version: str
    plural: str
    kind: str
    namespaced: bool
    type: type[T]
    metadata_only: bool = False  # the rest of the object is not asked for

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Path of the collection over all namespaces."""
        return f"{self._root}/{self.plural}"

    def object_path(self, namespace: str, name: str) -> str:
        """Path of one object; `namespace` is ignored for cluster-scoped kinds."""
        scope = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self._root}{scope}/{self.plural}/{name}"

    @property
    def _root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


INGRESSES: Final = Kind("networking.k8s.io", "v1", "ingresses", "Ingress", True, Ingress)
INGRESS_CLASSES: Final = Kind(
    "networking.k8s.io", "v1", "ingressclasses", "IngressClass", False, IngressClass
)
ALBCONFIGS: Final = Kind("alibabacloud.com", "v1", "albconfigs", "AlbConfig", False, AlbConfig)
SERVER_GROUPS: Final = Kind("fleetgate.io", "v1", "servergroups", "ServerGroup", True, ServerGroup)
MSE_INGRESS_CONFIGS: Final = Kind(
    "mse.alibabacloud.com", "v1alpha1", "mseingressconfigs", "MseIngressConfig", False, MseIngressConfig
)
REFERENCE_GRANTS: Final = Kind(
    "gateway.networking.k8s.io", "v1", "referencegrants", "ReferenceGrant", True, ReferenceGrant
)
REFERENCE_GRANTS_BETA: Final = replace(REFERENCE_GRANTS, version="v1beta1")
"""The version of installations of Gateway API that do not know v1 yet; its fields are the same."""
SECRETS: Final = Kind("", "v1", "secrets", "Secret", True, Secret)
SERVICES: Final = Kind("", "v1", "services", "Service", True, Service)
ENDPOINT_SLICES: Final = Kind(
    "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, EndpointSlice
)
PODS: Final = Kind("", "v1", "pods", "Pod", True, Pod, metadata_only=True)
