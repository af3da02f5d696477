"""spec.listeners of an AlbConfig to listeners: defaults and ranges of ALB."""

from dataclasses import dataclass
from typing import Final

from controlplane.resources.albconfig import AlbConfig, AlbListener, Number
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.diagnostics import Findings
from proxy.model.snapshot import Listener, Source

_NOT_YET: Final = ("HTTPS", "QUIC")
_DEFAULT_PORT: Final = 80
_IDLE_S: Final = (15, 60)  # default and most, in seconds
_REQUEST_S: Final = (60, 180)


@dataclass(frozen=True, slots=True)
class PlannedListener:
    field: str  # where it stands in the AlbConfig
    listener: Listener


def plan_listeners(config: AlbConfig, findings: Findings) -> tuple[PlannedListener, ...]:
    """Return the HTTP listeners of an AlbConfig, each port once.

    A listener without a usable port or protocol is left out; an unusable time is its default.
    """
    metadata = config.metadata
    source = Source("AlbConfig", metadata.namespace, metadata.name, metadata.generation)
    planned: dict[int, PlannedListener] = {}
    for index, listener in enumerate(config.spec.listeners):
        field = f"spec.listeners[{index}]"
        port = _port(f"{field}.port", listener.port, findings)
        usable = _is_http(field, listener, port, findings)
        idle = _seconds(f"{field}.idleTimeout", listener.idle_timeout, _IDLE_S, findings)
        request = _seconds(f"{field}.requestTimeout", listener.request_timeout, _REQUEST_S, findings)
        if port is None or not usable:
            continue
        if port in planned:
            findings.add("FG0503", f"{field}.port", listener.port, port=port)
            continue
        value = Listener(port=port, source=source, idle_timeout_s=idle, response_timeout_s=request)
        planned[port] = PlannedListener(field, value)
    return tuple(planned.values())


def _port(field: str, value: Number, findings: Findings) -> int | None:
    if value in (None, 0, "", "0") and value is not False:
        return _DEFAULT_PORT
    port = integer(value, 1, 65535)
    if port is None:
        findings.add("FG0501", field, value, problem="is not a port", allowed="an integer from 1 to 65535")
    return port


def _is_http(field: str, listener: AlbListener, port: int | None, findings: Findings) -> bool:
    protocol = listener.protocol or "HTTP"
    if protocol in _NOT_YET:
        findings.add("FG0502", f"{field}.protocol", protocol, protocol=protocol, port=port)
    elif protocol != "HTTP":
        problem, allowed = "is not a listener protocol", "HTTP (HTTPS and QUIC are not supported yet)"
        findings.add("FG0501", f"{field}.protocol", protocol, problem=problem, allowed=allowed)
    return protocol == "HTTP"


def _seconds(field: str, value: Number, limits: tuple[int, int], findings: Findings) -> float:
    default, most = limits
    if value in (None, 0, "") and value is not False:  # Go's zero value: not set
        return float(default)
    seconds = integer(value, 1, most)
    if seconds is None:
        problem, allowed = "is not a time this listener can have", f"whole seconds from 1 to {most}"
        findings.add("FG0501", field, value, problem=problem, allowed=allowed)
        return float(default)
    return float(seconds)
