"""Which gateway an Ingress belongs to: ingressClassName, the older annotation, or by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controlplane.resources.ingress import Ingress, IngressClass
from controlplane.translate.annotations.names import ALBCONFIG_NAME
from controlplane.translate.annotations.row import field_of
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect

CONTROLLER: Final = "ingress.k8s.alibabacloud/alb"
API_GROUP: Final = "alibabacloud.com"
CLASS_KEY: Final = "kubernetes.io/ingress.class"
ALBCONFIG_KEY: Final = ALBCONFIG_NAME.keys[0]
DEFAULT_ALBCONFIG: Final = "default"

_CLASS_NAME: Final = "alb"


@dataclass(frozen=True, slots=True)
class Membership:
    """A gateway by its kind and name; `gateway` is "" when the Ingress is ours but its class names none."""

    dialect: Dialect
    gateway: str


def membership(
    ingress: Ingress, classes: Mapping[str, IngressClass], findings: Findings
) -> Membership | None:
    """Return the gateway that an Ingress belongs to, None when it is not ours."""
    named = ingress.metadata.annotations.get(ALBCONFIG_KEY, "").strip()
    spec_class = ingress.spec.ingress_class_name
    class_name = spec_class or ingress.metadata.annotations.get(CLASS_KEY, "")
    ingress_class = classes.get(class_name)
    if ingress_class is None:
        return _without_class(class_name, bool(spec_class), named, classes, findings)
    if ingress_class.spec.controller != CONTROLLER:
        return None
    if named:
        return Membership(Dialect.ALB, named)
    parameters = ingress_class.spec.parameters
    if parameters is None or (parameters.api_group, parameters.kind) != (API_GROUP, "AlbConfig"):
        field = "spec.ingressClassName" if spec_class else field_of(CLASS_KEY)
        findings.add("FG0102", field, class_name, name=class_name)
        return Membership(Dialect.ALB, "")
    return Membership(Dialect.ALB, parameters.name)


def _without_class(
    class_name: str, in_spec: bool, named: str, classes: Mapping[str, IngressClass], findings: Findings
) -> Membership | None:
    if in_spec:
        hint = did_you_mean(
            class_name, (name for name in classes if classes[name].spec.controller == CONTROLLER)
        )
        findings.add("FG0101", "spec.ingressClassName", class_name, name=class_name, hint=hint)
        return None
    # The annotation of old needs no IngressClass object.
    return Membership(Dialect.ALB, named or DEFAULT_ALBCONFIG) if class_name == _CLASS_NAME else None
