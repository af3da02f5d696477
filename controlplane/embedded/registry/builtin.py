"""The builtin kinds: one row each."""

from __future__ import annotations

from controlplane.embedded.kinds import definitions, endpoints, events, ingress, plain, service, workloads
from controlplane.embedded.registry.names import dns1035, label, path_segment
from controlplane.embedded.registry.resource import Resource, Scale, Strategy
from controlplane.embedded.schema.builtin_types import kind_schema
from controlplane.embedded.tables.columns import COLUMNS

_RBAC = "rbac.authorization.k8s.io"
_EVENT_FIELDS = ("involvedObject.apiVersion", "involvedObject.fieldPath", "involvedObject.kind",
    "involvedObject.name",
                 "involvedObject.namespace", "involvedObject.resourceVersion", "involvedObject.uid", "reason",
                 "reportingComponent", "source", "type")  # fmt: skip
_POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
               "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName")  # fmt: skip
_PLAIN = Strategy()
_NODE = Strategy(default=plain.default_node, status_on_create=True)
_EVENT = Strategy(default=events.default_event, validate=events.validate_event, create_on_update=True)
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
_INGRESS = Strategy(default=ingress.default_ingress, validate=ingress.validate_ingress, generation=True)
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
    return [
        _row("", "v1", "configmaps", "ConfigMap", Strategy(validate=plain.validate_config_map),
            short=("cm",)),
        _row("", "v1", "endpoints", "Endpoints", Strategy(default=endpoints.default_endpoints), short=("ep",),
             singular="endpoints"),
        _row("", "v1", "events", "Event", _EVENT, short=("ev",), selectable=_EVENT_FIELDS),
        _row("", "v1", "namespaces", "Namespace", _NAMESPACE, short=("ns",), namespaced=False, status=True,
             selectable=("status.phase",)),
        _row("", "v1", "nodes", "Node", _NODE, short=("no",), namespaced=False,
             status=True, selectable=("spec.unschedulable",)),
        _row("", "v1", "pods", "Pod", _POD, short=("po",), status=True, categories=("all",),
            selectable=_POD_FIELDS),
        _row("", "v1", "secrets", "Secret", Strategy(default=plain.default_secret,
            validate=plain.validate_secret),
             selectable=("type",)),
        _row("", "v1", "serviceaccounts", "ServiceAccount", _PLAIN, short=("sa",)),
        _row("", "v1", "services", "Service", _SERVICE, short=("svc",), status=True, categories=("all",),
             selectable=("spec.clusterIP", "spec.type")),
        _row("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
            _DEFINITION,
             short=("crd", "crds"), namespaced=False, status=True, categories=("api-extensions",)),
        _row("apps", "v1", "deployments", "Deployment", _DEPLOYMENT, short=("deploy",), status=True,
             categories=("all",), scale=Scale(selector=".spec.selector")),
        _row("apps", "v1", "replicasets", "ReplicaSet", _REPLICA_SET, short=("rs",), status=True,
             categories=("all",), scale=Scale(selector=".spec.selector"), selectable=("status.replicas",)),
        _row("coordination.k8s.io", "v1", "leases", "Lease", Strategy(validate=plain.validate_lease,
             create_on_update=True, allow_unconditional_update=False)),
        _row("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", _SLICE),
        _event_view(),
        _row("networking.k8s.io", "v1", "ingressclasses", "IngressClass", _INGRESS_CLASS, namespaced=False,
             singular="ingressclass"),
        _row("networking.k8s.io", "v1", "ingresses", "Ingress", _INGRESS, short=("ing",), status=True,
             singular="ingress"),
        _row(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", _BINDING, namespaced=False),
        _row(_RBAC, "v1", "clusterroles", "ClusterRole", _ROLE, namespaced=False),
        _row(_RBAC, "v1", "rolebindings", "RoleBinding", _BINDING),
        _row(_RBAC, "v1", "roles", "Role", _ROLE),
    ]  # fmt: skip


def _row(
    group: str,
    version: str,
    plural: str,
    kind: str,
    strategy: Strategy,
    *,
    namespaced: bool = True,
    short: tuple[str, ...] = (),
    singular: str = "",
    categories: tuple[str, ...] = (),
    status: bool = False,
    scale: Scale | None = None,
    selectable: tuple[str, ...] = (),
) -> Resource:
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced=namespaced,
        schema=kind_schema(kind),
        columns=COLUMNS[plural],
        strategy=strategy,
        singular=singular or kind.lower(),
        short_names=short,
        categories=categories,
        status=status,
        scale=scale,
        selectable=selectable,
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
        selectable=_EVENT_FIELDS,
        bucket="events",
        stored_as="v1",
        to_storage=events.to_core,
        from_storage=events.from_core,
    )
