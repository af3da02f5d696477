"""spec.healthCheck of a ServerGroup: the health checks of its servers."""

from typing import Final

from controlplane.resources.numbers import Number
from controlplane.resources.servergroup import GroupHealthCheck
from controlplane.translate.addresses import refused_port
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.diagnostics import Findings
from controlplane.translate.hosts import is_host_field
from proxy.model.snapshot import HealthCheck

_FIELD: Final = "spec.healthCheck"
_DEFAULT: Final = HealthCheck()
_PROTOCOLS: Final = ("HTTP", "TCP")
_CODES: Final = {f"http_{digit}xx": digit for digit in (2, 3, 4, 5)}
_MAX_PATH: Final = 80


def parse_health(spec: GroupHealthCheck | None, findings: Findings) -> HealthCheck | None:
    """Return the check, None without one. An unusable value is replaced by its default.

    An unusable protocol means no check: servers that speak another protocol would all fail.
    """
    if spec is None or not spec.enabled:
        return None
    protocol = spec.protocol.upper() or _DEFAULT.protocol
    if protocol not in _PROTOCOLS:
        problem = "is a protocol that health checks do not speak; no checks are made"
        allowed = " or ".join(_PROTOCOLS)
        findings.add("FG0605", f"{_FIELD}.protocol", spec.protocol, problem=problem, allowed=allowed)
        return None
    return HealthCheck(
        protocol=protocol,
        method=_one_of("method", spec.method, ("HEAD", "GET"), findings),
        path=_path(spec.path, findings),
        port=_port(spec.port, findings),
        statuses=_statuses(spec.codes, findings),
        interval_s=float(_number("intervalSeconds", spec.interval_seconds, (1, 50, 2), findings)),
        timeout_s=float(_number("timeoutSeconds", spec.timeout_seconds, (1, 300, 5), findings)),
        healthy=_number("healthyThreshold", spec.healthy_threshold, (2, 10, 3), findings),
        unhealthy=_number("unhealthyThreshold", spec.unhealthy_threshold, (2, 10, 3), findings),
        host=_host(spec.host, findings),
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...], findings: Findings) -> str:
    """Return one of the allowed words; the first is the default."""
    if value and value not in allowed:
        listed = " or ".join(allowed)
        findings.add("FG0605", f"{_FIELD}.{name}", value, problem=f"is no {name} of a check", allowed=listed)
        return allowed[0]
    return value or allowed[0]


def _number(name: str, value: Number, limits: tuple[int, int, int], findings: Findings) -> int:
    lowest, highest, default = limits
    if value is None:
        return default
    number = integer(value, lowest, highest)
    if number is None:
        allowed = f"an integer from {lowest} to {highest}"
        findings.add("FG0605", f"{_FIELD}.{name}", value, problem="cannot be used", allowed=allowed)
        return default
    return number


def _port(value: Number, findings: Findings) -> int:
    port = _number("port", value, (0, 65535, _DEFAULT.port), findings)
    cause = refused_port(port) if port else ""
    if cause:
        findings.add("FG0605", f"{_FIELD}.port", value, problem=cause, allowed="another port")
        return _DEFAULT.port
    return port


def _path(path: str, findings: Findings) -> str:
    if not path:
        return _DEFAULT.path
    # The path stands in a request line, so no character that ends the line may be in it.
    if not path.startswith("/") or len(path) > _MAX_PATH or not path.isascii() or not path.isprintable():
        problem = "is not a path"
    elif " " in path or "#" in path:
        problem = "has a space or a fragment"
    else:
        return path
    allowed = f"up to {_MAX_PATH} printable ASCII characters that begin with /"
    findings.add("FG0605", f"{_FIELD}.path", path, problem=problem, allowed=allowed)
    return _DEFAULT.path


def _host(host: str, findings: Findings) -> str:
    if not host or is_host_field(host):
        return host
    allowed = "a host name, with or without a port"
    findings.add("FG0605", f"{_FIELD}.host", host, problem="is not a host name", allowed=allowed)
    return _DEFAULT.host


def _statuses(codes: tuple[str, ...], findings: Findings) -> tuple[int, ...]:
    for index, code in enumerate(codes):
        if code not in _CODES:
            allowed = ", ".join(_CODES)
            findings.add(
                "FG0605", f"{_FIELD}.codes[{index}]", code, problem="is no class of statuses", allowed=allowed
            )
    return tuple(sorted({_CODES[code] for code in codes if code in _CODES})) or _DEFAULT.statuses
