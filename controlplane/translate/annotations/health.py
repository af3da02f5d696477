"""Health checks of the endpoints of an Ingress's Services."""

from typing import Final

from msgspec.structs import replace

from controlplane.translate.addresses import refused_port
from controlplane.translate.annotations.draft import Draft, PlannedCheck
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, OWN, Annotation, Support
from controlplane.translate.dialects import Dialect
from controlplane.translate.hosts import is_host_field
from proxy.model.snapshot import HealthCheck

_PROTOCOLS: Final = ("HTTP", "HTTPS", "TCP", "GRPC")
_METHODS: Final = ("HEAD", "GET", "POST")
_CODES: Final = ("http_2xx", "http_3xx", "http_4xx", "http_5xx")
_MAX_PATH: Final = 80
_SPOKEN: Final = ("HTTP", "HTTPS", "TCP")
_NOTE: Final = "HTTP, HTTPS (any certificate) and TCP are spoken; with GRPC no checks are made"


def _row(name: str, summary: str, allowed: str, default: str, type_: str = "word") -> Annotation:
    return Annotation(name, (ALB,), Dialect.ALB, summary, type_, allowed, default)


ENABLED: Final = _row(
    "healthcheck-enabled", "checks the health of the endpoints", "true, false", "false", "boolean"
)
PATH: Final = _row(
    "healthcheck-path", "is the path that checks ask for", f"/ and up to {_MAX_PATH} characters", "/", "path"
)
PROTOCOL: Final = Annotation(
    "healthcheck-protocol",
    (ALB,),
    Dialect.ALB,
    "is the protocol of the checks",
    "word",
    ", ".join(_PROTOCOLS),
    "HTTP",
    Support.APPROXIMATED,
    _NOTE,
    neutral=(*_PROTOCOLS, *map(str.lower, _PROTOCOLS), ""),  # `apply` adds a finding when no checks are made
)
VERSION: Final = _row(
    "healthcheck-httpversion", "is the version of HTTP of the checks", "HTTP1.0, HTTP1.1", "HTTP1.1"
)
METHOD: Final = _row("healthcheck-method", "is the method of the checks", ", ".join(_METHODS), "HEAD")
CODES: Final = _row(
    "healthcheck-code", "names the statuses of a good check", ", ".join(_CODES), "http_2xx", "comma list"
)
OLD_CODES: Final = _row(
    "healthcheck-httpcode", "is the older spelling of healthcheck-code", ", ".join(_CODES), "http_2xx",
    "comma list",
)  # fmt: skip
TIMEOUT: Final = _row(
    "healthcheck-timeout-seconds", "is the time that a check may take", "1 to 300 seconds", "5", "seconds"
)
INTERVAL: Final = _row(
    "healthcheck-interval-seconds",
    "is the time between two checks of an endpoint",
    "1 to 50 seconds",
    "2",
    "seconds",
)
HEALTHY: Final = _row(
    "healthy-threshold-count",
    "is the number of good checks in a row after which an endpoint serves again",
    "2 to 10",
    "3",
    "integer",
)
UNHEALTHY: Final = _row(
    "unhealthy-threshold-count", "is the number of bad checks in a row after which an endpoint is left"
                                 " out", "2 to 10", "3",
    "integer",
)  # fmt: skip
PORT: Final = _row(
    "healthcheck-connect-port", "is the port of the checks; 0 is the endpoint's own", "0 to 65535", "0",
    "integer",
)  # fmt: skip
_ALB_ROWS: Final = (
    ENABLED, PATH, PROTOCOL, VERSION, METHOD, CODES, OLD_CODES, TIMEOUT, INTERVAL, HEALTHY, UNHEALTHY, PORT,
)  # fmt: skip
_OWN_ROWS: Final = {
    row.name: replace(row, prefixes=(OWN,), dialect=None) for row in _ALB_ROWS if row is not OLD_CODES
}
HOST: Final = Annotation(
    "healthcheck-host",
    (OWN,),
    None,
    "is the Host header of the checks",
    "host",
    "a host name, with or without a port",
    "the address of the endpoint",
    example="shop.example.com",
)
ROWS: Final = (*_ALB_ROWS, *_OWN_ROWS.values(), HOST)


def apply(reader: Reader, draft: Draft) -> None:
    """Read every value, so that an unusable one is reported even while checks are off."""
    default = HealthCheck()
    protocol = reader.choice(_spelled(reader, PROTOCOL), _PROTOCOLS) or default.protocol
    version = reader.choice(_spelled(reader, VERSION), ("HTTP1.0", "HTTP1.1")) or "HTTP1.1"
    check = HealthCheck(
        protocol=protocol,
        method=reader.choice(_spelled(reader, METHOD), _METHODS) or default.method,
        path=_path(reader) or default.path,
        port=_port(reader) or default.port,
        statuses=(_statuses(reader) if protocol != "GRPC" else None) or default.statuses,
        interval_s=_integer(reader, INTERVAL, 1, 50) or default.interval_s,
        timeout_s=_integer(reader, TIMEOUT, 1, 300) or default.timeout_s,
        healthy=_integer(reader, HEALTHY, 2, 10) or default.healthy,
        unhealthy=_integer(reader, UNHEALTHY, 2, 10) or default.unhealthy,
        version=version.removeprefix("HTTP"),
        host=_host(reader),
    )
    enabled = reader.given(_spelled(reader, ENABLED))
    if enabled is None or not reader.boolean(_spelled(reader, ENABLED)):
        return
    given = reader.given(_spelled(reader, PROTOCOL))
    if protocol in _SPOKEN:
        draft.health = PlannedCheck(check, enabled.field)
    elif given is not None:
        reader.findings.add("FG0209", given.field, given.text)


def _spelled(reader: Reader, row: Annotation) -> Annotation:
    """Return the row of the spelling that the object has: ours before that of ALB."""
    own = _OWN_ROWS.get(row.name)
    return own if own is not None and reader.given(own) is not None else row


def _integer(reader: Reader, row: Annotation, lowest: int, highest: int) -> int | None:
    return reader.integer(_spelled(reader, row), lowest, highest)


def _host(reader: Reader) -> str:
    given = reader.given(HOST)
    if given is None:
        return ""
    if not is_host_field(given.text):
        reader.reject(given, "is not a host name", HOST.allowed)
        return ""
    return given.text


def _path(reader: Reader) -> str | None:
    given = reader.given(_spelled(reader, PATH))
    if given is None:
        return None
    text = given.text
    # The path stands in a request line, so no character that ends the line may be in it
    fits = text.startswith("/") and len(text) <= _MAX_PATH
    if fits and text.isascii() and text.isprintable() and not set(text) & set(" #"):
        return text
    reader.reject(given, "is not a path", PATH.allowed)
    return None


def _port(reader: Reader) -> int | None:
    row = _spelled(reader, PORT)
    port, given = reader.integer(row, 0, 65535), reader.given(row)
    cause = refused_port(port) if port else ""
    if cause and given is not None:
        reader.reject(given, cause, PORT.allowed)
        return None
    return port


def _statuses(reader: Reader) -> tuple[int, ...] | None:
    row = _spelled(reader, CODES)
    row = row if reader.given(row) is not None else OLD_CODES
    codes = reader.items(row)
    given = reader.given(row)
    if codes is None or given is None:
        return None
    if not set(codes) <= set(_CODES):
        reader.reject(given, "has a code that is not known", row.allowed)
        return None
    return tuple(int(code[5]) for code in codes)
