"""alb.ingress.kubernetes.io/rule-direction.<service>: whether a rule is about requests or responses."""

from typing import Final

from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation, Support
from controlplane.translate.dialects import Dialect

RULE_DIRECTION: Final = Annotation(
    "rule-direction.*",
    (ALB,),
    Dialect.ALB,
    "says whether the rules with this backend service change requests or responses",
    type="word",
    allowed="Request, Response",
    default="Request",
    support=Support.APPROXIMATED,
    note="a rule with the direction Response changes the responses of those rules of its own Ingress that"
    " have its host and a path that its path covers; in ALB those of every Ingress",
    neutral=("Request", ""),
    example="Response",
)
ROWS: Final = (RULE_DIRECTION,)


def responses(reader: Reader) -> frozenset[str]:
    """Return the services whose rules are about responses."""
    found: set[str] = set()
    for given in reader.members(RULE_DIRECTION):
        if given.text == "Response":
            found.add(given.suffix)
        elif given.text not in ("Request", ""):
            reader.reject(given, "is not a direction", RULE_DIRECTION.allowed)
    return frozenset(found)
