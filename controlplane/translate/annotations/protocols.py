"""backend-protocol: the protocol of requests to endpoints."""

from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.row import ALB, ANY_MSE, Annotation, Support
from controlplane.translate.dialects import Dialect

ALB_PROTOCOL: Final = Annotation(
    "backend-protocol",
    (ALB,),
    Dialect.ALB,
    "is the protocol of requests to endpoints",
    type="word",
    allowed="http, https, grpc",
    default="http",
    support=Support.REFUSED,
    note="the gateway speaks HTTP/1.1 without TLS to endpoints, and not https or grpc",
    neutral=("http", "HTTP", ""),
    example="http",
)
MSE_PROTOCOL: Final = replace(
    ALB_PROTOCOL,
    prefixes=ANY_MSE,
    dialect=Dialect.MSE,
    allowed="HTTP, HTTP2, HTTPS, GRPC, GRPCS",
    default="HTTP",
    note="the gateway speaks HTTP/1.1 without TLS to endpoints, and nothing else",
    example="HTTP",
)
ROWS: Final = (ALB_PROTOCOL, MSE_PROTOCOL)
