"""What the manifests of an application leave to others: the gateway and its clusters."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

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
from controlplane.translate.classes import ALBCONFIG_KEY, CLASS_KEY, CONTROLLERS, DEFAULT_ALBCONFIG, GATEWAYS
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.fields import part

_NAME: Final = "assumed"
_ATTACHED: Final = {dialect: row.keys[0] for dialect, row in REMOTE_CLUSTERS.items()}
_MSE_CLASS: Final = "mse"
"""Without any gateway the class of the tutorials says which dialect the Ingresses are written in."""


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


def assume_gateways(fleet: FleetObjects, known: tuple[str, ...]) -> tuple[FleetObjects, list[str]]:
    """Return the objects with what is missing of a gateway, and a line for each thing assumed.

    `known` are the member clusters if any are given: an assumed gateway uses them all.

    Nothing is assumed beside what is there: one IngressClass in the files, and a name that is not
    among them is a mistake.
    """
    notes: list[str] = []
    unreadable = {malformed.kind for malformed in fleet.malformed}
    fleet = _with_mse_gateway(fleet, known, unreadable, notes)
    if not fleet.ingress_classes and "IngressClass" not in unreadable:
        taken = _taken_classes(fleet)
        needed = {name for ingress in fleet.ingresses.values() if (name := _class_of(ingress))}
        names = [] if "" in taken else sorted(needed - taken)
        if names:
            notes.append(f"assumed: IngressClass {', '.join(names)} of this gateway")
        fleet = replace(fleet, ingress_classes={name: _class(name, fleet) for name in names})
    if not fleet.albconfigs and "AlbConfig" not in unreadable and fleet.ingresses:
        names = sorted(set(_albconfig_names(fleet)))
        drafts = [_draft(ingress) for ingress in fleet.ingresses.values()]
        ports, clusters = _ports(drafts), known or _clusters(drafts)
        if names:
            listed = ", ".join(f"HTTP:{port}" for port in ports)
            notes.append(
                f"assumed: AlbConfig {', '.join(names)} with listeners {listed}"
                f" and clusters {', '.join(clusters)}"
            )
        fleet = replace(fleet, albconfigs={name: _albconfig(name, ports, clusters) for name in names})
    return fleet, notes


def _class_of(ingress: Ingress) -> str:
    """Return the name of the IngressClass that an Ingress needs, "" for none."""
    return ingress.spec.ingress_class_name or ""


def _class(name: str, fleet: FleetObjects) -> IngressClass:
    config = next(iter(fleet.albconfigs), _NAME)
    parameters = IngressClassParameters(*GATEWAYS[Dialect.ALB], config)
    controller = next(name for name, dialect in CONTROLLERS.items() if dialect is Dialect.ALB)
    return IngressClass(ObjectMeta(name=name), IngressClassSpec(controller, parameters))


def _with_mse_gateway(
    fleet: FleetObjects, known: tuple[str, ...], unreadable: set[str], notes: list[str]
) -> FleetObjects:
    """Return the objects with an MseIngressConfig when the Ingresses need one and nobody leads to any."""
    names = [_class_of(ingress) for ingress in fleet.ingresses.values()]
    if fleet.mse_configs or _MSE_CLASS in fleet.ingress_classes or "MseIngressConfig" in unreadable:
        return fleet
    if _MSE_CLASS not in names:
        return fleet
    clusters = known or (_NAME,)
    notes.append(
        f"assumed: MseIngressConfig {_NAME} of class {_MSE_CLASS} with clusters {', '.join(clusters)}"
    )
    # Not port 80: that may be an AlbConfig's.
    annotations = {_ATTACHED[Dialect.MSE]: ",".join(clusters), LISTENERS.keys[0]: LISTENERS.example}
    spec = {"ingress": {"local": {"ingressClass": _MSE_CLASS}}}
    config = MseIngressConfig(ObjectMeta(name=_NAME, annotations=annotations), spec)
    return replace(fleet, mse_configs={_NAME: config})


def _taken_classes(fleet: FleetObjects) -> set[str]:
    """Return the classes that MseIngressConfigs take without an IngressClass, "" for all."""
    locals_ = (part(config.spec, "ingress", "local") for config in fleet.mse_configs.values())
    classes = (local.get("ingressclass") for local in locals_)
    return {name for name in classes if isinstance(name, str)}


def _albconfig_names(fleet: FleetObjects) -> Iterator[str]:
    """Yield the names of the AlbConfigs that classes and Ingresses refer to."""
    for ingress_class in fleet.ingress_classes.values():
        parameters = ingress_class.spec.parameters
        if parameters is not None and parameters.kind == "AlbConfig":
            yield parameters.name
    for ingress in fleet.ingresses.values():
        annotations = ingress.metadata.annotations
        if annotations.get(ALBCONFIG_KEY, "").strip():
            yield annotations[ALBCONFIG_KEY].strip()
        elif not ingress.spec.ingress_class_name and CLASS_KEY in annotations:
            yield DEFAULT_ALBCONFIG


def _albconfig(name: str, ports: Iterable[int], clusters: Iterable[str]) -> AlbConfig:
    metadata = ObjectMeta(name=name, annotations={_ATTACHED[Dialect.ALB]: ",".join(clusters)})
    return AlbConfig(metadata, {"listeners": [{"port": port, "protocol": "HTTP"} for port in ports]})


def _ports(drafts: Iterable[Draft]) -> tuple[int, ...]:
    """Return the HTTP ports that Ingresses name, and 80, where they are without listen-ports."""
    named = {port for draft in drafts for protocol, port in draft.ports or () if protocol == "HTTP"}
    return tuple(sorted(named | {80}))


def _clusters(drafts: Iterable[Draft]) -> tuple[str, ...]:
    """Return the clusters that the annotations of Ingresses name."""
    named: set[str] = set()
    for draft in drafts:
        named.update(draft.weights, draft.failover.clusters or (), *draft.tiers)
    return tuple(sorted(named)) or (_NAME,)


def _draft(ingress: Ingress) -> Draft:
    """Return what an Ingress asks for, whatever is wrong with it: that is found later."""
    unreported = Findings(Subject.of("Ingress", ingress.metadata))
    draft = Draft(ingress.metadata.namespace)
    apply_all(Reader(ingress.metadata.annotations, Dialect.ALB, unreported), draft)
    return draft
