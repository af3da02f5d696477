"""The dialects of Ingresses that no gateway in the files takes."""

from collections.abc import Iterable, Mapping
from typing import Final

from controlplane.resources.ingress import Ingress
from controlplane.translate.annotations.row import ALB, NGINX, VENDOR
from controlplane.translate.classes import CLASS_KEY
from controlplane.translate.dialects import Dialect

_CLASSES: Final[Mapping[str, Dialect]] = {
    "alb": Dialect.ALB,
    "mse": Dialect.MSE,
    "higress": Dialect.MSE,
    "nginx": Dialect.MSE,
}
"""Names of classes that tutorials use."""


def class_of(ingress: Ingress) -> str:
    """Return the name of the class that an Ingress asks for, "" for none."""
    return ingress.spec.ingress_class_name or ingress.metadata.annotations.get(CLASS_KEY, "")


def dialect_of(class_name: str, ingresses: Iterable[Ingress]) -> Dialect | None:
    """Return the dialect of the Ingresses of a class, by its name or by their annotations."""
    return _CLASSES.get(class_name) or _written_in(ingresses)


def _written_in(ingresses: Iterable[Ingress]) -> Dialect | None:
    """Return the dialect whose annotations they have; None where they have none, or those of both.

    Annotations of ingress-nginx may stand beside ALB's, which reads some of them.
    """
    prefixes = {key.partition("/")[0] + "/" for ingress in ingresses for key in ingress.metadata.annotations}
    if ALB in prefixes:
        return Dialect.ALB if prefixes.isdisjoint(VENDOR) else None
    return None if prefixes.isdisjoint((NGINX, *VENDOR)) else Dialect.MSE
