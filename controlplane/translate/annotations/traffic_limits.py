"""traffic-limit-qps and traffic-limit-ip-qps: how many requests a second the rules of an Ingress take."""

from typing import Final

from controlplane.translate.annotations.action_values import QPS, qps_limits
from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.dialects import Dialect

LIMIT: Final = Annotation(
    "traffic-limit-qps",
    (ALB,),
    Dialect.ALB,
    "answers 503 to more requests a second than this, counted for each rule",
    type="integer",
    allowed=f"an integer from {QPS[0]} to {QPS[1]}",
    example="1000",
)
LIMIT_PER_ADDRESS: Final = Annotation(
    "traffic-limit-ip-qps",
    (ALB,),
    Dialect.ALB,
    "answers 503 to more requests a second from one client address than this, counted for each rule",
    type="integer",
    allowed=f"an integer from {QPS[0]} to {QPS[1]}, below traffic-limit-qps",
    example="10",
)
ROWS: Final = (LIMIT, LIMIT_PER_ADDRESS)


def apply(reader: Reader, draft: Draft) -> None:
    whole = reader.integer(LIMIT, *QPS)
    single = reader.integer(LIMIT_PER_ADDRESS, *QPS)
    given = reader.given(LIMIT_PER_ADDRESS)
    if whole is not None and single is not None and single >= whole and given is not None:
        reader.reject(given, f"is not below traffic-limit-qps = {whole}", LIMIT_PER_ADDRESS.allowed)
        return
    draft.rate_limits += qps_limits(whole, single)
