"""spec.listeners of an AlbConfig to listeners: defaults and ranges of ALB."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from controlplane.resources.albconfig import AlbConfig
from controlplane.translate.access import acl_access
from controlplane.translate.albfields import HTTPS_LISTENER, LISTENER, SPEC
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.diagnostics import Findings
from controlplane.translate.fields import check_fields, flag, part, reject
from controlplane.translate.networks import NOBODY
from controlplane.translate.tlsfields import NamedSecret, client_authorities, listener_tls, named_secrets
from proxy.model.policies import Access
from proxy.model.snapshot import ForwardedHeaders, Listener, Source

_SPOKEN: Final = ("HTTP", "HTTPS")
_LIST: Final = "a list of objects like {port: 80, protocol: HTTP}"
_DEFAULT_PORT: Final = 80
_IDLE_S: Final = (15, 60)  # default and most, in seconds
_REQUEST_S: Final = (60, 180)


class PlannedListener(msgspec.Struct, frozen=True):
    field: str  # where its port stands in the gateway's object
    listener: Listener
    remedy: str = ""  # how another port is written, where that is not plain from `field`
    certificates: tuple[NamedSecret, ...] = ()  # of an HTTPS listener, the default first
    client_authorities: tuple[NamedSecret, ...] | None = None  # None: clients need no certificate


def plan_listeners(config: AlbConfig, findings: Findings) -> tuple[PlannedListener, ...]:
    """Return the HTTP and HTTPS listeners of an AlbConfig, each port once.

    A listener without a usable port or protocol is left out; an unusable time is its default.
    """
    metadata = config.metadata
    source = Source("AlbConfig", metadata.namespace, metadata.name, metadata.generation)
    check_fields(config.spec, "spec", SPEC, findings)
    planned: dict[int, PlannedListener] = {}
    for where, written in _written(config, findings):
        listener = _listener(where, written, source, findings)
        if listener is None:
            continue
        if listener.port in planned:
            findings.add("FG0503", f"{where}.port", listener.port, port=listener.port)
            continue
        if listener.tls is None:
            planned[listener.port] = PlannedListener(f"{where}.port", listener)
            continue
        secrets = named_secrets(part(written), where, findings)
        authorities = client_authorities(part(written), where, findings)
        planned[listener.port] = PlannedListener(f"{where}.port", listener, "", secrets, authorities)
    return tuple(planned.values())


def _written(config: AlbConfig, findings: Findings) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the listeners as written, each with the field where it stands."""
    listeners = part(config.spec).get("listeners")
    if not listeners:
        findings.add("FG0508", "spec.listeners")
        return
    if not isinstance(listeners, list):
        reject("spec.listeners", listeners, "is not a list", _LIST, findings)
        return
    for index, written in enumerate(listeners):
        where = f"spec.listeners[{index}]"
        if isinstance(written, dict):
            yield where, written
        else:
            reject(where, written, "is not an object", _LIST, findings)


def _listener(where: str, written: dict[str, Any], source: Source, findings: Findings) -> Listener | None:
    fields = part(written)
    port = _port(f"{where}.port", fields.get("port"), findings)
    protocol = _protocol(where, fields.get("protocol"), port, findings)
    idle = _seconds(f"{where}.idleTimeout", fields.get("idletimeout"), _IDLE_S, findings)
    request = _seconds(f"{where}.requestTimeout", fields.get("requesttimeout"), _REQUEST_S, findings)
    if port is None or not protocol:
        return None
    is_https = protocol == "HTTPS"
    check_fields(written, where, HTTPS_LISTENER if is_https else LISTENER, findings)
    return Listener(
        port=port,
        source=source,
        idle_timeout_s=idle,
        response_timeout_s=request,
        access=_access(fields, where, findings, is_https=is_https),
        forwarded=_forwarded(part(fields, "xForwardedForConfig"), where, findings),
        # Only on request: ALB's default would change the answers of endpoints unasked.
        gzip=flag(fields.get("gzipenabled"), f"{where}.gzipEnabled", findings),
        tls=listener_tls(fields, where, findings) if is_https else None,
    )


def _access(fields: dict[str, Any], where: str, findings: Findings, *, is_https: bool) -> Access | None:
    """Return the allowed addresses: none where clients would have to show a certificate, and cannot."""
    if not is_https and flag(fields.get("caenabled"), f"{where}.caEnabled", findings):
        problem, allowed = "asks clients for a certificate, which an HTTP listener cannot", "false"
        reject(f"{where}.caEnabled", fields["caenabled"], problem, allowed, findings)
        return Access(deny=NOBODY)
    return acl_access(fields.get("aclconfig"), f"{where}.aclConfig", findings)


def _forwarded(config: dict[str, Any], where: str, findings: Findings) -> ForwardedHeaders:
    def wanted(name: str) -> bool:
        return flag(config.get(name.lower()), f"{where}.xForwardedForConfig.{name}", findings)

    for name in ("XForwardedForEnabled", "XForwardedForProtoEnabled"):
        if config.get(name.lower()) is False:
            field = f"{where}.xForwardedForConfig.{name}"
            findings.add("FG0511", field, "false", note="endpoints always get this header")
    return ForwardedHeaders(
        port=wanted("XForwardedForSLBPortEnabled"), client_port=wanted("XForwardedForClientSrcPortEnabled")
    )


def _port(field: str, value: object, findings: Findings) -> int | None:
    if value in (None, 0, "", "0") and value is not False:
        return _DEFAULT_PORT
    port = integer(value, 1, 65535)
    if port is None:
        findings.add("FG0501", field, value, problem="is not a port", allowed="an integer from 1 to 65535")
    return port


def _protocol(field: str, value: object, port: int | None, findings: Findings) -> str:
    """Return HTTP or HTTPS; "" for other values, which are reported."""
    protocol = value or "HTTP"
    if protocol == "QUIC":
        findings.add("FG0502", f"{field}.protocol", protocol, protocol=protocol, port=port)
    elif protocol not in _SPOKEN:
        problem, allowed = "is not a listener protocol", "HTTP, HTTPS (QUIC is not supported yet)"
        findings.add("FG0501", f"{field}.protocol", protocol, problem=problem, allowed=allowed)
    return protocol if isinstance(protocol, str) and protocol in _SPOKEN else ""


def _seconds(field: str, value: object, limits: tuple[int, int], findings: Findings) -> float:
    default, most = limits
    if value in (None, 0, "") and value is not False:  # Go's zero value: not set
        return float(default)
    seconds = integer(value, 1, most)
    if seconds is None:
        problem, allowed = "is not a time this listener can have", f"whole seconds from 1 to {most}"
        findings.add("FG0501", field, value, problem=problem, allowed=allowed)
        return float(default)
    return float(seconds)
