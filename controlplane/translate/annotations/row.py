"""What is known of an annotation key, as data: parsing, findings, docs and the command line read it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from controlplane.translate.dialects import Dialect

ALB: Final = "alb.ingress.kubernetes.io/"
NGINX: Final = "nginx.ingress.kubernetes.io/"
MSE: Final = "mse.ingress.kubernetes.io/"
OWN: Final = "fleetgate.io/"
MSE_GATEWAY: Final = "mse.alibabacloud.com/"  # on MseIngressConfigs
KUBERNETES: Final = "kubernetes.io/"

VENDOR: Final = (MSE, "higress.io/", "higress.ingress.kubernetes.io/")
"""Spellings of what only MSE and Higress have."""
ANY_MSE: Final = (NGINX, *VENDOR)
"""Spellings of what they share with ingress-nginx: that of nginx wins."""
ALB_OR_NGINX: Final = (NGINX, ALB)
"""The ALB Ingress Controller reads its canary and ssl-redirect annotations under both, nginx first."""


class Scope(StrEnum):
    """The kind of object that an annotation is read from."""

    INGRESS = "Ingress"
    ALBCONFIG = "AlbConfig"
    MSEINGRESSCONFIG = "MseIngressConfig"


class Support(StrEnum):
    WORKS = "works"
    APPROXIMATED = "approximated"  # near enough to serve: `note` says what differs
    NO_EFFECT = "no effect"  # nothing happens, and the rules still do what they say
    REFUSED = "refused"  # without it the rules would do something else, so they are not used


@dataclass(frozen=True, slots=True)
class Annotation:
    """One key. Where what stands for a name differs, as in conditions.<service>, `name` ends in "*"."""

    name: str  # without the prefix
    prefixes: tuple[str, ...]  # the first that an Ingress has is read
    dialect: Dialect | None  # None: read in every dialect
    summary: str  # what it does, as a sentence without its subject
    type: str = "string"
    allowed: str = ""  # values, in words
    default: str = ""  # as it would be written; "": none
    support: Support = Support.WORKS
    note: str = ""  # why it is not done as written; "" where it is
    neutral: tuple[str, ...] = ()  # values that ask for what happens anyway: nothing is reported of them
    scope: Scope = Scope.INGRESS
    example: str = ""
    keys: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(prefix + self.name for prefix in self.prefixes))

    @property
    def is_family(self) -> bool:
        return self.name.endswith("*")


def field_of(key: str) -> str:
    """Return the field path of an annotation, as findings name it."""
    return f"metadata.annotations[{key}]"
