"""backend-protocol, and proxy-ssl-* of MSE: the protocol of requests to endpoints, and TLS under it."""

import re
from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.draft import Draft, PlannedTls
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, ANY_MSE, Annotation
from controlplane.translate.dialects import Dialect

_SERVED: Final = ("http", "https")
_OTHERS: Final = ("grpc", "http2", "grpcs")
_NOTE: Final = "the gateway speaks HTTP/1.1 to endpoints, in the clear or over TLS"

ALB_PROTOCOL: Final = Annotation(
    "backend-protocol",
    (ALB,),
    Dialect.ALB,
    "is the protocol of requests to endpoints; certificates of endpoints are not verified, as ALB does not;"
    " grpc is refused",
    type="word",
    allowed="http, https",
    default="http",
    neutral=("http", "HTTP", ""),
    example="https",
)
MSE_PROTOCOL: Final = replace(
    ALB_PROTOCOL,
    prefixes=ANY_MSE,
    dialect=Dialect.MSE,
    summary="is the protocol of requests to endpoints, whose certificates are verified with proxy-ssl-verify"
    " only; HTTP2, GRPC and GRPCS are refused",
    allowed="HTTP, HTTPS",
    default="HTTP",
    example="HTTPS",
)
SECRET: Final = Annotation(
    "proxy-ssl-secret",
    ANY_MSE,
    Dialect.MSE,
    "names the Secret for TLS to endpoints: ca.crt has the authorities that proxy-ssl-verify trusts, tls.crt"
    " and tls.key are the gateway's own pair",
    allowed="<namespace>/<name> of a Secret of type kubernetes.io/tls",
    default="the authorities of the gateway's system, and no pair",
    example="shop/backend-tls",
)
VERIFY: Final = Annotation(
    "proxy-ssl-verify",
    ANY_MSE,
    Dialect.MSE,
    "verifies the certificates of endpoints, which have to be for the name of proxy-ssl-name; that name is"
    " told to them then",
    type="word",
    allowed="on, off",
    default="off",
    example="on",
)
NAME: Final = Annotation(
    "proxy-ssl-name",
    ANY_MSE,
    Dialect.MSE,
    "is the name that endpoints are told in TLS, and that their certificates are verified for",
    allowed="a DNS name, or an address",
    default="<service>.<namespace>.svc",
    example="web.shop.svc",
)
TELL_NAME: Final = Annotation(
    "proxy-ssl-server-name",
    ANY_MSE,
    Dialect.MSE,
    "tells endpoints the name of proxy-ssl-name in TLS (SNI)",
    type="word",
    allowed="on, off",
    default="on with proxy-ssl-name or proxy-ssl-verify, else off",
    example="on",
)
_SSL: Final = (SECRET, VERIFY, NAME, TELL_NAME)
ROWS: Final = (ALB_PROTOCOL, MSE_PROTOCOL, *_SSL)

_SECRET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9.-]{0,252}")
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*"
    r"|[0-9a-fA-F:]{2,39}"
)


def apply(reader: Reader, draft: Draft) -> None:
    row = ALB_PROTOCOL if reader.dialect is Dialect.ALB else MSE_PROTOCOL
    given = reader.given(row)
    protocol = given.text.lower() if given is not None else ""
    if given is not None and protocol in _OTHERS:
        reader.findings.add("FG0203", given.field, given.text, note=_NOTE, allowed=row.allowed)
    elif given is not None and protocol and protocol not in _SERVED:
        reader.reject(given, "is no protocol", row.allowed)
    tls = _tls(reader)
    if protocol == "https":
        draft.tls = tls
    else:
        reader.idle(_SSL, f"endpoints are spoken to without TLS: {row.name} is not HTTPS")


def _tls(reader: Reader) -> PlannedTls:
    """Return TLS as proxy-ssl-* want it; ALB has none of them."""
    secret = _matching(reader, SECRET, _SECRET_NAME, "is not namespace/name")
    name = _matching(reader, NAME, _HOST_NAME, "is no name of a server")
    tells = _switch(reader, TELL_NAME)
    given = reader.given(SECRET)
    return PlannedTls(
        verify=_switch(reader, VERIFY) or False,
        tells_name=bool(name) if tells is None else tells,
        name=name.lower(),
        secret=secret,
        field=given.field if given is not None else "",
    )


def _switch(reader: Reader, row: Annotation) -> bool | None:
    choice = reader.choice(row, ("on", "off"))
    return None if choice is None else choice == "on"


def _matching(reader: Reader, row: Annotation, pattern: re.Pattern[str], problem: str) -> str:
    text, given = reader.text(row), reader.given(row)
    if text is None or given is None:
        return ""
    if pattern.fullmatch(text) is None:
        reader.reject(given, problem, row.allowed)
        return ""
    return text
