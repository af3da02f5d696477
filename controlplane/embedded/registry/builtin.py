"""The builtin kinds: one row each."""

from __future__ import annotations

from controlplane.embedded.kinds import definitions, endpoints, events, ingress, plain, service, workloads
from controlplane.embedded.registry.names import dns1035, label, path_segment
from controlplane.embedded.registry.resource import Resource, Scale, Strategy
from controlplane.embedded.schema.builtin_types import kind_schema
from controlplane.embedded.tables.columns import COLUMNS

_RBAC = "rbac.authorization.k8s.io"
_SELECTABLE = {
    "events": "involvedObject.apiVersion involvedObject.fieldPath involvedObject.kind involvedObject.name "
    "involvedObject.namespace involvedObject.resourceVersion involvedObject.uid reason reportingComponent "
    "source type",
    "namespaces": "status.phase",
    "nodes": "spec.unschedulable",
    "pods": "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork "
    "status.phase status.podIP status.nominatedNodeName",
    "replicasets": "status.replicas",
    "secrets": "type",
    "services": "spec.clusterIP spec.type",
}
_REGARDING = (
    "regarding.apiVersion regarding.fieldPath regarding.kind regarding.name regarding.namespace "
    "regarding.resourceVersion regarding.uid reason reportingController type"
)
_PLAIN = Strategy()
_NODE = Strategy(default=plain.default_node, status_on_create=True)
_EVENT = Strategy(default=events.default_event, validate=events.validate_event, create_on_update=True)
_LEASE = Strategy(validate=plain.validate_lease, create_on_update=True, allow_unconditional_update=False)
_ROLE = Strategy(validate=plain.validate_rules, name=path_segment)
_BINDING = Strategy(default=plain.default_binding, validate=plain.validate_binding, name=path_segment)
_DEPLOYMENT = Strategy(
    default=workloads.default_deployment, validate=workloads.validate_deployment, generation=True
)
_REPLICA_SET = Strategy(
    default=workloads.default_replica_set, validate=workloads.validate_replica_set, generation=True
)
_POD = Strategy(default=workloads.default_pod, prepare=workloads.prepare_pod, validate=workloads.validate_pod)
_SERVICE = Strategy(
    default=service.default_service, prepare=service.allocate, validate=service.validate_service, name=dns1035
)
_NAMESPACE = Strategy(default=plain.default_namespace, prepare=plain.prepare_namespace, name=label)
_SLICE = Strategy(default=endpoints.default_slice, validate=endpoints.validate_slice, generation=True)
_INGRESS = Strategy(
    default=ingress.default_ingress,
    validate=ingress.validate_ingress,
    validate_status=ingress.validate_ingress_status,
    generation=True,
)
_INGRESS_CLASS = Strategy(
    default=ingress.default_ingress_class, validate=ingress.validate_ingress_class, generation=True
)
_DEFINITION = Strategy(
    default=definitions.default_definition,
    prepare=definitions.prepare_definition,
    validate=definitions.validate_definition,
    generation=True,
    allow_unconditional_update=False,
)


def builtin_resources() -> list[Resource]:
    """Every builtin kind, in the order discovery lists them."""
    return [*_core(), *_workloads(), *_networking(), *_cluster(), *_rbac()]


def _core() -> list[Resource]:
    secret = Strategy(default=plain.default_secret, validate=plain.validate_secret)
    return [
        _row("", "configmaps", "ConfigMap", Strategy(validate=plain.validate_config_map), short="cm"),
        _row("", "endpoints", "Endpoints", Strategy(default=endpoints.default_endpoints), short="ep"),
        _row("", "events", "Event", _EVENT, short="ev"),
        _row("", "namespaces", "Namespace", _NAMESPACE, short="ns", namespaced=False, status=True),
        _row("", "nodes", "Node", _NODE, short="no", namespaced=False, status=True),
        _row("", "pods", "Pod", _POD, short="po", status=True, categories="all"),
        _row("", "secrets", "Secret", secret),
        _row("", "serviceaccounts", "ServiceAccount", _PLAIN, short="sa"),
        _row("", "services", "Service", _SERVICE, short="svc", status=True, categories="all"),
    ]


def _workloads() -> list[Resource]:
    scale = Scale(selector=".spec.selector")
    return [
        _row("apps", "deployments", "Deployment", _DEPLOYMENT, short="deploy", status=True, scale=scale,
             categories="all"),
        _row("apps", "replicasets", "ReplicaSet", _REPLICA_SET, short="rs", status=True, scale=scale,
             categories="all"),
    ]  # fmt: skip


def _networking() -> list[Resource]:
    group = "networking.k8s.io"
    return [
        _row("discovery.k8s.io", "endpointslices", "EndpointSlice", _SLICE),
        _row(group, "ingressclasses", "IngressClass", _INGRESS_CLASS, namespaced=False),
        _row(group, "ingresses", "Ingress", _INGRESS, short="ing", status=True),
    ]


def _cluster() -> list[Resource]:
    group, kind = "apiextensions.k8s.io", "CustomResourceDefinition"
    return [
        _row(group, "customresourcedefinitions", kind, _DEFINITION, short="crd crds", namespaced=False,
             status=True, categories="api-extensions"),
        _row("coordination.k8s.io", "leases", "Lease", _LEASE),
        _event_view(),
    ]  # fmt: skip


def _rbac() -> list[Resource]:
    return [
        _row(_RBAC, "clusterrolebindings", "ClusterRoleBinding", _BINDING, namespaced=False),
        _row(_RBAC, "clusterroles", "ClusterRole", _ROLE, namespaced=False),
        _row(_RBAC, "rolebindings", "RoleBinding", _BINDING),
        _row(_RBAC, "roles", "Role", _ROLE),
    ]


def _row(
    group: str,
    plural: str,
    kind: str,
    strategy: Strategy,
    *,
    namespaced: bool = True,
    short: str = "",
    categories: str = "",
    status: bool = False,
    scale: Scale | None = None,
) -> Resource:
    """Short names, categories and selectable fields are words separated by spaces."""
    return Resource(
        group=group,
        version="v1",
        plural=plural,
        kind=kind,
        namespaced=namespaced,
        schema=kind_schema(kind),
        columns=COLUMNS[plural],
        strategy=strategy,
        singular=kind.lower(),
        short_names=tuple(short.split()),
        categories=tuple(categories.split()),
        status=status,
        scale=scale,
        selectable=tuple(_SELECTABLE.get(plural, "").split()),
    )


def _event_view() -> Resource:
    """events.k8s.io/v1: the same objects as core/v1 events under other field names."""
    return Resource(
        group="events.k8s.io",
        version="v1",
        plural="events",
        kind="Event",
        namespaced=True,
        schema=kind_schema("EventsEvent"),
        columns=COLUMNS["events"],
        strategy=_EVENT,
        singular="event",
        short_names=("ev",),
        selectable=tuple(_REGARDING.split()),
        bucket="events",
        stored_as="v1",
        to_storage=events.to_core,
        from_storage=events.from_core,
    )
