"""The listeners on which the rules of an Ingress are installed. Pure."""

from collections.abc import Iterable
from typing import Final

import msgspec

from controlplane.translate.annotations.listen_ports import LISTEN_PORTS
from controlplane.translate.annotations.row import field_of
from controlplane.translate.diagnostics import Findings
from controlplane.translate.dialects import Dialect
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.hosts import wildcard_above
from controlplane.translate.plan import IngressPlan

_LISTEN_PORTS: Final = field_of(LISTEN_PORTS.keys[0])


class Ports(msgspec.Struct, frozen=True):
    """`tls` are the ports of rules whose host is in `secured`, `plain` those of all others."""

    plain: tuple[int, ...] = ()
    tls: tuple[int, ...] = ()
    secured: frozenset[str] = frozenset()

    def of(self, host: str) -> tuple[int, ...]:
        is_secured = host in self.secured or wildcard_above(host) in self.secured
        return self.tls if is_secured else self.plain


def ports_of(plan: IngressPlan, gateway: LiveGateway, findings: Findings) -> Ports:
    """Return the ports, and report listeners that the gateway does not have."""
    if gateway.dialect is Dialect.MSE:
        if not gateway.ports:
            findings.add("FG0510", gateway=gateway.title)
        _report_plain(plan, gateway, gateway.ports, findings)
        return Ports(gateway.ports)
    if plan.ports is None:
        return _default(plan, gateway, findings)
    ports: list[int] = []
    for protocol, port in plan.ports:
        if port in (gateway.tls_ports if protocol == "HTTPS" else gateway.plain_ports) and protocol != "QUIC":
            ports.append(port)
        else:
            _report_missing(f"{protocol}:{port}", gateway, findings)
    _report_plain(plan, gateway, ports, findings)
    return Ports(tuple(sorted(ports)))


def _default(plan: IngressPlan, gateway: LiveGateway, findings: Findings) -> Ports:
    """Return HTTPS:443 for hosts in spec.tls and HTTP:80 for all others; else all listeners of the protocol.

    ALB installs rules nowhere when the AlbConfig lacks the default listener, and says nothing. Without any
    HTTPS listener the rules of secured hosts are where the others are.
    """
    secured = _hosts(plan)
    if not secured or not gateway.tls_ports:
        plain = _plain(gateway, findings)
        _report_plain(plan, gateway, plain, findings)
        return Ports(plain)
    tls = (443,) if 443 in gateway.tls_ports else gateway.tls_ports
    others = any(route.host not in secured for route in plan.routes)
    plain = _plain(gateway, findings) if others or plan.to_https else ()
    # ALB adds HTTP:80 for the redirect
    return Ports(plain, tuple(sorted({*tls, *plain})) if plan.to_https else tls, secured)


def _hosts(plan: IngressPlan) -> frozenset[str]:
    """Return the hosts of spec.tls; an entry without hosts means those of all rules."""
    hosts: set[str] = set()
    for entry in plan.tls:
        hosts.update(name.lower() for name in entry.hosts)
        if not entry.hosts:
            hosts.update(route.host for route in plan.routes if route.host)
    return frozenset(hosts)


def _plain(gateway: LiveGateway, findings: Findings) -> tuple[int, ...]:
    if 80 in gateway.plain_ports:
        return (80,)
    if not gateway.ports:
        _report_missing("HTTP:80", gateway, findings)
        return ()
    ports = gateway.plain_ports or gateway.ports
    protocol = "HTTP" if gateway.plain_ports else "HTTPS"
    listeners = gateway.listed_listeners()
    findings.add(
        "FG0506", _LISTEN_PORTS, gateway=gateway.title, listeners=listeners, protocol=protocol, port=ports[0]
    )
    return ports


def _report_plain(plan: IngressPlan, gateway: LiveGateway, ports: Iterable[int], findings: Findings) -> None:
    """Report spec.tls where none of the ports is one of an HTTPS listener."""
    if plan.tls and not set(ports).intersection(gateway.tls_ports):
        named = "listen-ports names no HTTPS listener of the gateway"
        cause = named if gateway.tls_ports else f"{gateway.title} has no HTTPS listener"
        findings.add("FG0307", "spec.tls", cause=cause)


def _report_missing(listener: str, gateway: LiveGateway, findings: Findings) -> None:
    findings.add(
        "FG0505",
        _LISTEN_PORTS,
        listener,
        gateway=gateway.title,
        listener=listener,
        listeners=gateway.listed_listeners(),
    )
