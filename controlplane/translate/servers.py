"""spec of a ServerGroup, understood on its own: the same object always gives the same plan and findings."""

import re
from ipaddress import ip_address
from typing import Final

import msgspec

from controlplane.resources.servergroup import Server, ServerGroup
from controlplane.translate.addresses import refused_address, refused_port
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.grouphealth import parse_health
from controlplane.translate.hosts import HostProblem, parse_host
from proxy.model.snapshot import HealthCheck
from proxy.model.tls import BackendTls

DEFAULT_ZONE: Final = "default"
_ZONE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_ADDRESS: Final = "an IPv4 or IPv6 address, or a host name"
_WEIGHT: Final = 100


class PlannedServer(msgspec.Struct, frozen=True):
    """`address` is an IP address, or a host name when `is_host`."""

    field: str  # where it stands in the ServerGroup
    address: str
    is_host: bool
    port: int
    weight: int
    zone: str


class GroupPlan(msgspec.Struct, frozen=True):
    """`failover`: zones in the order in which they serve; the others come after all of them."""

    servers: tuple[PlannedServer, ...]
    failover: tuple[str, ...]
    health: HealthCheck | None
    tls: BackendTls | None = None

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({server.zone for server in self.servers}))

    def priority(self, zone: str) -> int:
        return self.failover.index(zone) if zone in self.failover else len(self.failover)


def plan_group(group: ServerGroup, allow_loopback: bool, findings: Findings) -> GroupPlan:
    """Return the plan of a ServerGroup, without servers that cannot be used."""
    spec = group.spec
    supported = spec.protocol in ("", "HTTP", "HTTPS")
    if not supported:
        # Without TLS the servers would get requests in the clear that were meant to be encrypted.
        problem = "is not a protocol this gateway speaks to servers"
        findings.add("FG0605", "spec.protocol", spec.protocol, problem=problem, allowed="HTTP, HTTPS")
    planned: dict[tuple[str, int], PlannedServer] = {}
    for index, server in enumerate(spec.servers):
        one = _plan_server(f"spec.servers[{index}]", server, allow_loopback, findings)
        if one is None:
            continue
        first = planned.setdefault((one.address, one.port), one)
        if first is not one:
            problem = f"has the address and port of {first.field}"
            findings.add("FG0605", one.field, one.address, problem=problem, allowed="each server once")
    if not spec.servers:
        findings.add("FG0610", "spec.servers")
    servers = tuple(planned.values()) if supported else ()
    health = parse_health(spec.health_check, findings)
    zones = {server.zone or DEFAULT_ZONE for server in spec.servers}
    # As ALB does, without a look at the certificates of servers
    tls = BackendTls() if spec.protocol == "HTTPS" else None
    return GroupPlan(servers, _failover(spec.failover, zones, findings), health, tls)


def _plan_server(
    field: str, server: Server, allow_loopback: bool, findings: Findings
) -> PlannedServer | None:
    address = _address(f"{field}.address", server.address, allow_loopback, findings)
    port = integer(server.port, 1, 65535)
    if port is None or refused_port(port):
        problem = refused_port(port) if port is not None else "is not a port"
        findings.add(
            "FG0605", f"{field}.port", server.port, problem=problem, allowed="an integer from 1 to 65535"
        )
    weight = _WEIGHT if server.weight is None else integer(server.weight, 0, 100)
    if weight is None:
        allowed = "an integer from 0 to 100"
        findings.add("FG0605", f"{field}.weight", server.weight, problem="is not a weight", allowed=allowed)
    zone = server.zone or DEFAULT_ZONE
    if not _ZONE.fullmatch(zone):
        allowed = "up to 63 letters, digits, '-', '_' and '.'"
        findings.add("FG0605", f"{field}.zone", zone, problem="is not a name of a zone", allowed=allowed)
        return None
    if address is None or port is None or refused_port(port) or weight is None:
        return None
    return PlannedServer(field, address[0], address[1], port, weight, zone)


def _address(field: str, text: str, allow_loopback: bool, findings: Findings) -> tuple[str, bool] | None:
    """Return the address in its usual form and whether it is a host name."""
    try:
        literal = ip_address(text)
    except ValueError:
        return _host(field, text, findings)
    cause = refused_address(text, literal.version, allow_loopback)
    if cause:
        findings.add("FG0605", field, text, problem=f"cannot be used: {cause}", allowed=_ADDRESS)
        return None
    return str(literal), False


def _host(field: str, text: str, findings: Findings) -> tuple[str, bool] | None:
    problem = "is not a host name"
    try:
        host = parse_host(text.removesuffix("."))
        if host and not host.startswith("*"):
            return host, True
    except HostProblem as found:
        problem = "is neither" if ":" in text or not text.strip("0123456789.") else str(found)
    findings.add("FG0605", field, text, problem=problem, allowed=_ADDRESS)
    return None


def _failover(order: tuple[str, ...], zones: set[str], findings: Findings) -> tuple[str, ...]:
    known: list[str] = []
    for index, zone in enumerate(order):
        field = f"spec.failover[{index}]"
        if zone in known:
            findings.add("FG0605", field, zone, problem="is named twice", allowed="each zone once")
        elif zone not in zones:
            hint = did_you_mean(zone, zones)
            findings.add(
                "FG0611", field, zone, zone=zone, hint=hint, zones=", ".join(sorted(zones)) or "none"
            )
        else:
            known.append(zone)
    return tuple(known)
