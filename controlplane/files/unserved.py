"""Why an Ingress of the files is served by nothing, in findings of `validate`."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from controlplane.files.dialects import class_of
from controlplane.resources.ingress import Ingress
from controlplane.resources.view import FleetObjects
from controlplane.translate.annotations.row import field_of
from controlplane.translate.classes import CLASS_KEY, CONTROLLERS
from controlplane.translate.model import Translation

CLASS_FIELD: Final = "spec.ingressClassName"


class Unserved(msgspec.Struct, frozen=True):
    """A finding of the file catalogue about an Ingress."""

    code: str
    ingress: Ingress
    field: str
    value: str
    why: str = ""
    fix: str = ""


def unserved(fleet: FleetObjects, untold: frozenset[str], translation: Translation) -> Iterator[Unserved]:
    """Yield the reason for every Ingress without routes for which the translation has no finding.

    `fleet` are the objects of the files, `untold` the classes whose dialect is not known.
    """
    routed = {(route.source.namespace, route.source.name) for route in translation.snapshot.routes}
    told = {
        (item.namespace, item.name)
        for item in translation.diagnostics
        if item.kind == "Ingress" and item.level != "info"
    }
    for ingress in fleet.ingresses.values():
        identity = (ingress.metadata.namespace, ingress.metadata.name)
        name = class_of(ingress)
        if not name and identity in routed:
            yield _without_class(ingress, "the Fleet")
        elif name in untold or identity not in routed | told:
            yield _reason(ingress, name, fleet, untold)


def _reason(ingress: Ingress, name: str, fleet: FleetObjects, untold: Iterable[str]) -> Unserved:
    field = CLASS_FIELD if ingress.spec.ingress_class_name else field_of(CLASS_KEY)
    known = fleet.ingress_classes.get(name)
    if known is not None and known.spec.controller not in CONTROLLERS:
        why = f"IngressClass {name} belongs to the controller {known.spec.controller or 'of no name'}"
        fix = "use a class of this gateway, or give --dialect to judge the Ingress for it"
        return Unserved("FG0117", ingress, field, name, why, fix)
    if name in untold:
        return Unserved("FG0116", ingress, field if name else CLASS_FIELD, name)
    if not name:
        return _without_class(ingress, "the files")
    why = f"no gateway in the files takes the class {name}"
    fix = "add the IngressClass, or correct the name"
    return Unserved("FG0117", ingress, field, name, why, fix)


def _without_class(ingress: Ingress, where: str) -> Unserved:
    why = (
        "the Ingress names no class, and is served only where an MseIngressConfig has the class nginx or"
        f' "", or {where} a default IngressClass of this gateway'
    )
    return Unserved("FG0117", ingress, CLASS_FIELD, "", why, "write spec.ingressClassName")
