"""backend-protocol: how endpoints are spoken to."""

from dataclasses import replace
from typing import Final

from controlplane.translate.annotations.row import ALB, ANY_MSE, Annotation, Support
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
MSE_PROTOCOL: Final = replace(
    ALB_PROTOCOL,
    prefixes=ANY_MSE,
    dialect=Dialect.MSE,
    allowed="HTTP, HTTP2, HTTPS, GRPC, GRPCS",
    default="HTTP",
    note="endpoints are spoken to in HTTP/1.1 without TLS; one that wants something else cannot be",
    example="HTTP",
)
ROWS: Final = (ALB_PROTOCOL, MSE_PROTOCOL)
