"""backend-protocol: how endpoints are spoken to."""

from typing import Final

from controlplane.translate.annotations.row import ALB, Annotation, Support
from controlplane.translate.dialects import Dialect

ALB_PROTOCOL: Final = Annotation(
    "backend-protocol",
    (ALB,),
    Dialect.ALB,
    "chooses how endpoints are spoken to",
    type="word",
    allowed="http, https, grpc",
    default="http",
    support=Support.REFUSED,
    note="endpoints are spoken to in HTTP/1.1 without TLS; one that wants https or grpc cannot be",
    neutral=("http", "HTTP", ""),
    example="http",
)
ROWS: Final = (ALB_PROTOCOL,)
