"""The facts about an annotation key, as data: parsing, findings, docs and the command line read them."""

from enum import StrEnum
from typing import Final

import msgspec

from controlplane.translate.dialects import Dialect

ALB: Final = "alb.ingress.kubernetes.io/"
NGINX: Final = "nginx.ingress.kubernetes.io/"
MSE: Final = "mse.ingress.kubernetes.io/"
OWN: Final = "fleetgate.io/"
MSE_GATEWAY: Final = "mse.alibabacloud.com/"  # on MseIngressConfigs
KUBERNETES: Final = "kubernetes.io/"

VENDOR: Final = (MSE, "higress.io/", "higress.ingress.kubernetes.io/")
"""Prefixes of annotations that only MSE and Higress have."""
ANY_MSE: Final = (NGINX, *VENDOR)
"""Prefixes of annotations that they share with ingress-nginx; the spelling of nginx wins."""
ALB_OR_NGINX: Final = (NGINX, ALB)
"""The ALB Ingress Controller reads its canary and ssl-redirect annotations under both, nginx first."""


class Scope(StrEnum):
    """The kind of object that an annotation is read from."""

    INGRESS = "Ingress"
    ALBCONFIG = "AlbConfig"
    MSEINGRESSCONFIG = "MseIngressConfig"


class Support(StrEnum):
    WORKS = "works"
    APPROXIMATED = "approximated"  # near enough to serve: `note` names the difference
    NO_EFFECT = "no effect"  # no effect, and the rules still mean the same
    REFUSED = "refused"  # the rules would have another effect without the annotation, so they are not used


class Annotation(msgspec.Struct, frozen=True):
    """One key. `name` ends in "*" where a name of the user's follows, as in conditions.<service>."""

    name: str  # without the prefix
    prefixes: tuple[str, ...]  # the first that an Ingress has is read
    dialect: Dialect | None  # None: read in every dialect
    summary: str  # its effect, as a sentence without the subject
    type: str = "string"
    allowed: str = ""  # values, in words
    default: str = ""  # as it would be written; "": none
    support: Support = Support.WORKS
    note: str = ""  # why the effect differs from the dialect; "" where it does not
    neutral: tuple[str, ...] = ()  # values that ask for the default: no finding is reported
    scope: Scope = Scope.INGRESS
    example: str = ""
    keys: tuple[str, ...] = ()  # the spellings, which follow from name and prefixes

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "keys", tuple(prefix + self.name for prefix in self.prefixes))

    @property
    def is_family(self) -> bool:
        return self.name.endswith("*")


def field_of(key: str) -> str:
    """Return the field path of an annotation, as findings name it."""
    return f"metadata.annotations[{key}]"
