"""Which gateway an Ingress belongs to: by its IngressClass, by name, or because a gateway takes its class."""

from collections.abc import Mapping
from typing import Final

import msgspec

from controlplane.resources.ingress import Ingress, IngressClass, IngressClassParameters
from controlplane.translate.annotations.names import ALBCONFIG_NAME, INGRESS_CLASS
from controlplane.translate.annotations.row import field_of
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect

CONTROLLERS: Final = {
    "ingress.k8s.alibabacloud/alb": Dialect.ALB,
    "mse.alibabacloud.com/ingress": Dialect.MSE,
}
GATEWAYS: Final = {
    Dialect.ALB: ("alibabacloud.com", "AlbConfig"),
    Dialect.MSE: ("mse.alibabacloud.com", "MseIngressConfig"),
}
"""API group and kind of the gateways of a dialect."""

CLASS_KEY: Final = INGRESS_CLASS.keys[0]
ALBCONFIG_KEY: Final = ALBCONFIG_NAME.keys[0]
DEFAULT_ALBCONFIG: Final = "default"

_ALB_CLASS: Final = "alb"
_NGINX_CLASS: Final = "nginx"
_EVERY_CLASS: Final = ""


class Membership(msgspec.Struct, frozen=True):
    """A gateway by its dialect and name; the name is "" when the class is ours but no gateway takes it."""

    dialect: Dialect
    gateway: str


class Selector(msgspec.Struct, frozen=True):
    """The Ingresses that an MseIngressConfig takes by their class, and the namespaces it looks in.

    `ingress_class` None takes none, "" all. `namespace` "" is every namespace, also for an IngressClass
    that refers to the gateway.
    """

    gateway: str
    ingress_class: str | None = None
    namespace: str = ""

    def watches(self, namespace: str) -> bool:
        return self.namespace in ("", namespace)

    def covers(self, other: "Selector") -> bool:
        """Return whether this selector takes every Ingress that a younger one of its class would take."""
        same = self.ingress_class is not None and self.ingress_class == other.ingress_class
        return same and self.namespace in ("", other.namespace)

    def rank(self, class_name: str, namespace: str) -> int | None:
        """Return how exactly it takes an Ingress of that class, 0 the most; None when it does not."""
        if self.ingress_class is None or not self.watches(namespace):
            return None
        if self.ingress_class == class_name != "":
            return 0
        if self.ingress_class == _NGINX_CLASS and not class_name:
            return 1
        return 2 if self.ingress_class == _EVERY_CLASS else None


class Classes(msgspec.Struct, frozen=True):
    """The IngressClasses by name, and the selectors of all MseIngressConfigs by name, the oldest first."""

    by_name: Mapping[str, IngressClass]
    selectors: Mapping[str, Selector]

    def dialect_of(self, class_name: str) -> Dialect | None:
        ingress_class = self.by_name.get(class_name)
        return CONTROLLERS.get(ingress_class.spec.controller) if ingress_class is not None else None

    def parameters_of(self, class_name: str) -> IngressClassParameters | None:
        ingress_class = self.by_name.get(class_name)
        return ingress_class.spec.parameters if ingress_class is not None else None


def membership(ingress: Ingress, classes: Classes, findings: Findings) -> Membership | None:
    """Return the gateway that an Ingress belongs to, None when it is not ours.

    An IngressClass that refers to a gateway decides; else an MseIngressConfig may take the class.
    """
    annotations = ingress.metadata.annotations
    spec_class = ingress.spec.ingress_class_name
    class_name = spec_class or annotations.get(CLASS_KEY, "")
    field = "spec.ingressClassName" if spec_class else field_of(CLASS_KEY)
    dialect = classes.dialect_of(class_name)
    named = annotations.get(ALBCONFIG_KEY, "").strip()
    if dialect is Dialect.ALB and named:
        return Membership(Dialect.ALB, named)
    # The annotation of old needs no IngressClass object.
    if not spec_class and class_name == _ALB_CLASS and class_name not in classes.by_name:
        return Membership(Dialect.ALB, named or DEFAULT_ALBCONFIG)
    if dialect is Dialect.ALB or (dialect is not None and classes.parameters_of(class_name) is not None):
        return _referred(ingress, class_name, field, dialect, classes, findings)
    selected = _selected(ingress, class_name, classes)
    if selected is not None:
        return Membership(Dialect.MSE, selected)
    if dialect is not None:
        return _referred(ingress, class_name, field, dialect, classes, findings)
    if spec_class and class_name not in classes.by_name:
        known = [name for name in classes.by_name if classes.dialect_of(name) is not None]
        known += [item.ingress_class for item in classes.selectors.values() if item.ingress_class]
        hint = did_you_mean(class_name, known)
        findings.add("FG0101", field, class_name, name=class_name, hint=hint)
    return None


def _referred(
    ingress: Ingress, class_name: str, field: str, dialect: Dialect, classes: Classes, findings: Findings
) -> Membership:
    """Return the gateway in the parameters of an IngressClass of ours."""
    group, kind = GATEWAYS[dialect]
    parameters = classes.parameters_of(class_name)
    if parameters is None or (parameters.api_group, parameters.kind) != (group, kind):
        findings.add("FG0102", field, class_name, name=class_name, group=group, kind=kind)
        return Membership(dialect, "")
    selector = classes.selectors.get(parameters.name) if dialect is Dialect.MSE else None
    if selector is not None and not selector.watches(ingress.metadata.namespace):
        findings.add("FG0104", field, class_name, gateway=selector.gateway, watched=selector.namespace)
        return Membership(dialect, "")
    return Membership(dialect, parameters.name)


def _selected(ingress: Ingress, class_name: str, classes: Classes) -> str | None:
    """Return the MseIngressConfig that takes a class: the most exact name of the class, then the oldest."""
    found: tuple[int, str] | None = None
    for selector in classes.selectors.values():
        rank = selector.rank(class_name, ingress.metadata.namespace)
        if rank is not None and (found is None or rank < found[0]):
            found = (rank, selector.gateway)
    return found[1] if found is not None else None
