"""alb.ingress.kubernetes.io/order: which Ingress comes before which."""

from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.draft import DEFAULT_ORDER, Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.snapshot import LAST_ORDER

LAST: Final = LAST_ORDER
ORDER: Final = Annotation(
    "order",
    (ALB,),
    Dialect.ALB,
    "puts the rules of the Ingress before those of Ingresses of its namespace with a higher number, however"
    " specific they are",
    type="integer",
    allowed=f"an integer from 1 to {LAST}",
    default=str(DEFAULT_ORDER),
    example="5",
)
OLD_ORDER: Final = replace(ORDER, name="albconfig.order", summary="is the older spelling of order")
ROWS: Final = (ORDER, OLD_ORDER)


def apply(reader: Reader, draft: Draft) -> None:
    row = ORDER if reader.given(ORDER) is not None else OLD_ORDER
    order = reader.integer(row, 1, LAST)
    if order is not None:
        draft.order = order
