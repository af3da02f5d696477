"""The surroundings that manifests of an application leave to others: the gateway and its clusters."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.files.dialects import class_of, dialect_of
from controlplane.resources.albconfig import AlbConfig
from controlplane.resources.ingress import (
    Ingress,
    IngressClass,
    IngressClassParameters,
    IngressClassSpec,
)
from controlplane.resources.meta import ObjectMeta
from controlplane.resources.mseingressconfig import MseIngressConfig
from controlplane.resources.view import FleetObjects
from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.families import apply_all
from controlplane.translate.annotations.gateway_listeners import LISTENERS
from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.remote_clusters import REMOTE_CLUSTERS
from controlplane.translate.classes import ALBCONFIG_KEY, CONTROLLERS, GATEWAYS
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.fields import part

_NAME: Final = "assumed"
_NO_CLASS: Final = "assumed-without-class"
_DEFAULT_CLASS: Final = "ingressclass.kubernetes.io/is-default-class"
_ATTACHED: Final = {dialect: row.keys[0] for dialect, row in REMOTE_CLUSTERS.items()}
_CONTROLLERS: Final = {dialect: name for name, dialect in CONTROLLERS.items()}

_MSE_LISTENERS: Final = '[{"HTTP": 8080}, {"HTTPS": 8443}]'
"""Not ports 80 and 443, which may be an AlbConfig's."""


class Assumed(msgspec.Struct):
    """The objects, with assumed gateways where the files have none.

    `notes` has a line for each thing assumed. `titles` are the gateways that no file has, as findings name
    them. `untold` are the classes whose dialect is not known.
    """

    fleet: FleetObjects
    notes: list[str] = field(default_factory=list)
    titles: set[str] = field(default_factory=set)
    untold: frozenset[str] = frozenset()


def named_clusters(fleet: FleetObjects) -> frozenset[str]:
    """Return the ids of all clusters that the gateways name."""
    lists = (
        *(
            config.metadata.annotations.get(_ATTACHED[Dialect.ALB], "")
            for config in fleet.albconfigs.values()
        ),
        *(
            config.metadata.annotations.get(_ATTACHED[Dialect.MSE], "")
            for config in fleet.mse_configs.values()
        ),
    )
    return frozenset(cluster for text in lists for cluster in comma_list(text))


def assume_gateways(fleet: FleetObjects, known: tuple[str, ...], wanted: Dialect | None = None) -> Assumed:
    """Return the objects, with an assumed gateway where the files have none.

    `known` are the member clusters if any are given: an assumed gateway uses them all. `wanted` is the
    dialect of every Ingress that no gateway in the files takes. Nothing is assumed beside existing objects:
    once the files have an IngressClass, a name that is not among them is a mistake.
    """
    orphans = _orphans(fleet, wanted)
    told = {name: _told(name, of_class, fleet, wanted) for name, of_class in orphans.items()}
    is_bare = not (fleet.ingress_classes or fleet.albconfigs or fleet.mse_configs)
    assumed = Assumed(fleet, untold=frozenset(name for name in told if is_bare and told[name] is None))
    classes = {name: dialect for name, dialect in told.items() if dialect is not None}
    if classes:
        assumed.fleet = _with_classes(assumed, classes)
    drafts = [_draft(ingress, assumed.fleet) for ingress in assumed.fleet.ingresses.values()]
    _assume_mse_config(assumed, known or _clusters(drafts))
    _assume_albconfigs(assumed, drafts, known)
    return assumed


def with_default_class(fleet: FleetObjects) -> FleetObjects:
    """Give Ingresses without class the default one of the files, as the API server does."""
    default = next(
        (
            name
            for name, each in fleet.ingress_classes.items()
            if each.metadata.annotations.get(_DEFAULT_CLASS) == "true"
        ),
        None,
    )
    if default is None:
        return fleet
    return _with_class(fleet, default, lambda ingress: not class_of(ingress))


def _with_class(fleet: FleetObjects, name: str, applies: Callable[[Ingress], bool]) -> FleetObjects:
    ingresses = {
        key: msgspec.structs.replace(
            ingress, spec=msgspec.structs.replace(ingress.spec, ingress_class_name=name)
        )
        if applies(ingress)
        else ingress
        for key, ingress in fleet.ingresses.items()
    }
    return replace(fleet, ingresses=ingresses)


def _orphans(fleet: FleetObjects, wanted: Dialect | None) -> dict[str, list[Ingress]]:
    """Return the Ingresses that no object of the files takes, by class."""
    if any(malformed.kind == "IngressClass" for malformed in fleet.malformed):
        return {}
    taken = _taken_classes(fleet)
    found: dict[str, list[Ingress]] = {}
    for ingress in fleet.ingresses.values():
        name = class_of(ingress)
        known = fleet.ingress_classes.get(name)
        if "" in taken or name in taken or (not name and "nginx" in taken):
            continue
        if known is not None and (wanted is None or known.spec.controller in CONTROLLERS):
            continue
        found.setdefault(name, []).append(ingress)
    return found


def _told(
    name: str, ingresses: Iterable[Ingress], fleet: FleetObjects, wanted: Dialect | None
) -> Dialect | None:
    """Return the dialect of a class that no file has, None where it is a mistake or nothing says it."""
    if wanted is not None:
        return wanted
    if fleet.ingress_classes or (not name and (fleet.albconfigs or fleet.mse_configs)):
        return None
    found = dialect_of(name, ingresses)
    if found is Dialect.MSE and fleet.mse_configs:
        return None
    if found is None and fleet.albconfigs and not fleet.mse_configs:
        return Dialect.ALB
    return found


def _with_classes(assumed: Assumed, classes: Mapping[str, Dialect]) -> FleetObjects:
    """Return the objects with an IngressClass for each of the names."""
    fleet = assumed.fleet
    named = sorted(name for name in classes if name)
    if named:
        assumed.notes.append(f"assumed: IngressClass {', '.join(named)} of this gateway")
    if "" in classes:
        fleet = _with_class(fleet, _NO_CLASS, lambda ingress: not class_of(ingress))
    made = {name or _NO_CLASS: _class(name or _NO_CLASS, dialect, fleet) for name, dialect in classes.items()}
    return replace(fleet, ingress_classes={**fleet.ingress_classes, **made})


def _class(name: str, dialect: Dialect, fleet: FleetObjects) -> IngressClass:
    configs: Mapping[str, object] = fleet.albconfigs if dialect is Dialect.ALB else fleet.mse_configs
    parameters = IngressClassParameters(*GATEWAYS[dialect], next(iter(configs), _NAME))
    return IngressClass(ObjectMeta(name=name), IngressClassSpec(_CONTROLLERS[dialect], parameters))


def _assume_mse_config(assumed: Assumed, clusters: tuple[str, ...]) -> None:
    """Add the MseIngressConfigs that IngressClasses refer to, when no file has any."""
    fleet = assumed.fleet
    names = sorted(set(_referred(fleet, Dialect.MSE)))
    if fleet.mse_configs or not names or _is_unreadable("MseIngressConfig", fleet):
        return
    assumed.notes.append(f"assumed: MseIngressConfig {', '.join(names)} with clusters {', '.join(clusters)}")
    assumed.titles.update(f"MseIngressConfig {name}" for name in names)
    annotations = {_ATTACHED[Dialect.MSE]: ",".join(clusters), LISTENERS.keys[0]: _MSE_LISTENERS}
    configs = {
        name: MseIngressConfig(ObjectMeta(name=name, annotations=annotations), {"ingress": {"local": {}}})
        for name in names
    }
    assumed.fleet = replace(fleet, mse_configs=configs)


def _assume_albconfigs(assumed: Assumed, drafts: list[Draft], known: tuple[str, ...]) -> None:
    """Add the AlbConfigs that IngressClasses and Ingresses refer to, when no file has any."""
    fleet = assumed.fleet
    names = sorted(set(_referred(fleet, Dialect.ALB)))
    if fleet.albconfigs or not names or not fleet.ingresses or _is_unreadable("AlbConfig", fleet):
        return
    listeners, clusters = _listeners(drafts, fleet), known or _clusters(drafts)
    listed = ", ".join(f"{protocol}:{port}" for protocol, port in listeners)
    assumed.notes.append(
        f"assumed: AlbConfig {', '.join(names)} with listeners {listed} and clusters {', '.join(clusters)}"
    )
    assumed.titles.update(f"AlbConfig {name}" for name in names)
    assumed.fleet = replace(fleet, albconfigs={name: _albconfig(name, listeners, clusters) for name in names})


def _is_unreadable(kind: str, fleet: FleetObjects) -> bool:
    return any(malformed.kind == kind for malformed in fleet.malformed)


def _taken_classes(fleet: FleetObjects) -> set[str]:
    """Return the classes that MseIngressConfigs take without an IngressClass, "" for all."""
    locals_ = (part(config.spec, "ingress", "local") for config in fleet.mse_configs.values())
    classes = (local.get("ingressclass") for local in locals_)
    return {name for name in classes if isinstance(name, str)}


def _referred(fleet: FleetObjects, dialect: Dialect) -> Iterator[str]:
    """Yield the names of the gateways of a dialect that classes and Ingresses refer to."""
    for ingress_class in fleet.ingress_classes.values():
        parameters = ingress_class.spec.parameters
        if parameters is not None and parameters.kind == GATEWAYS[dialect][1]:
            yield parameters.name
    if dialect is Dialect.ALB:
        for ingress in fleet.ingresses.values():
            named = ingress.metadata.annotations.get(ALBCONFIG_KEY, "").strip()
            if named:
                yield named


def _albconfig(name: str, listeners: Iterable[tuple[str, int]], clusters: Iterable[str]) -> AlbConfig:
    metadata = ObjectMeta(name=name, annotations={_ATTACHED[Dialect.ALB]: ",".join(clusters)})
    written = [{"port": port, "protocol": protocol} for protocol, port in listeners]
    return AlbConfig(metadata, {"listeners": written})


def _listeners(drafts: Iterable[Draft], fleet: FleetObjects) -> tuple[tuple[str, int], ...]:
    """Return the listeners that Ingresses name, and the defaults of those that name none."""
    named = {port: protocol for draft in drafts for protocol, port in draft.ports or () if protocol != "QUIC"}
    named.setdefault(80, "HTTP")
    if any(ingress.spec.tls for ingress in fleet.ingresses.values()):
        named.setdefault(443, "HTTPS")
    return tuple((named[port], port) for port in sorted(named))


def _clusters(drafts: Iterable[Draft]) -> tuple[str, ...]:
    """Return the clusters that the annotations of Ingresses name."""
    named: set[str] = set()
    for draft in drafts:
        named.update(draft.weights, draft.failover.clusters or (), *draft.priority_levels)
    return tuple(sorted(named)) or (_NAME,)


def _draft(ingress: Ingress, fleet: FleetObjects) -> Draft:
    """Return the plan of an Ingress; its mistakes are found later."""
    unreported = Findings(Subject.of("Ingress", ingress.metadata))
    ingress_class = fleet.ingress_classes.get(class_of(ingress))
    controller = ingress_class.spec.controller if ingress_class is not None else ""
    dialect = CONTROLLERS.get(controller, Dialect.ALB)
    draft = Draft(ingress.metadata.namespace)
    apply_all(Reader(ingress.metadata.annotations, dialect, unreported), draft)
    return draft
