"""Hosts that a member cluster names instead of pods: ExternalName Services and EndpointSlices of type FQDN.

The gateway resolves them, like the host names of ServerGroups, and judges their addresses like every
endpoint's. Its resolver is not the member's: a name of a Service, or one of a single label that search
domains would complete, would lead into the gateway's own cluster, past every network rule. So the gateway
refuses those names, and looks the others up as they are, without search domains.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from controlplane.resources.service import Service, ServicePort
from controlplane.translate.addresses import refused_port
from controlplane.translate.allowed import Allowed
from controlplane.translate.diagnostics import Findings
from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.model import HostAddresses
from proxy.model.snapshot import ClusterEndpoints, Endpoint

_UNRESOLVED: Final = HostAddresses()
_OF_CLUSTER: Final = re.compile(r".*\.cluster\.local|.*\.(?:svc|pod)|[^.]+\.[^.]+\.(?:svc|pod)\..*")


class HostTrouble(msgspec.Struct, frozen=True):
    """Why a host name, or some of its addresses, cannot serve; one of the three is not ""."""

    host: str
    refused: str = ""  # why the name is not used
    unresolved: str = ""  # why it has no addresses now
    address: str = ""  # one that it has, and that is not used
    cause: str = ""  # of that
    keeps: bool = False  # its last known addresses stay in use

    def report(self, cluster: str, service: str, field: str, findings: Findings) -> None:
        """Add the finding, at the `field` that names the Service."""
        if self.refused:
            findings.add(
                "FG0614",
                field,
                self.host,
                cluster=cluster,
                service=service,
                host=self.host,
                problem=self.refused,
            )
        elif self.unresolved:
            effect = (
                "its last known addresses stay in use" if self.keeps else f"{cluster} gets no requests for it"
            )
            findings.add("FG0608", field, self.host, host=self.host, problem=self.unresolved, effect=effect)
        else:
            findings.add("FG0609", field, self.host, host=self.host, address=self.address, cause=self.cause)


class HostNames:
    """The host names that one translation meets, with their known addresses."""

    __slots__ = ("_allowed", "_known", "wanted")

    def __init__(self, known: Mapping[str, HostAddresses], allowed: Allowed) -> None:
        self._known = known
        self._allowed = allowed
        self.wanted: set[str] = set()
        """Names to be resolved, with the dot at their end that keeps search domains away."""

    def usable(self, text: str, port: int, troubles: list[HostTrouble]) -> tuple[str, ...] | None:
        """Return the addresses that a host may be reached by; None where it has none yet, or for now."""
        host = text.lower().removesuffix(".")
        refused = refused_name(host)
        if refused:
            troubles.append(HostTrouble(host, refused=refused))
            return ()
        self.wanted.add(f"{host}.")
        found = self._known.get(f"{host}.", _UNRESOLVED)
        if found.problem:
            troubles.append(HostTrouble(host, unresolved=found.problem, keeps=bool(found.addresses)))
        if not found.addresses:
            return None
        usable: list[str] = []
        for address in found.addresses:
            cause = self._allowed.cause(address, port, 6 if ":" in address else 4)
            if cause:
                troubles.append(HostTrouble(host, address=address, cause=cause))
            else:
                usable.append(address)
        return tuple(usable)


class HostEndpoints:
    """Gathers the endpoints of one Service in one cluster that are given by host names."""

    __slots__ = ("_hosts", "_kept", "_ready", "is_used", "troubles")

    def __init__(self, hosts: HostNames, kept: Iterable[ClusterEndpoints]) -> None:
        """`kept` are the endpoints there were: those of hosts stay where a name has no address (yet)."""
        self._hosts = hosts
        self._kept = [endpoint for part in kept if not part.pods for endpoint in part.endpoints]
        self._ready: dict[tuple[str, int], bool] = {}
        self.is_used = False
        self.troubles: list[HostTrouble] = []

    def add(self, host: str, port: int, *, is_ready: bool) -> None:
        self.is_used = True
        cause = refused_port(port)
        if cause:
            self.troubles.append(HostTrouble(host, refused=f"cannot be used: {cause}"))
            return
        addresses = self._hosts.usable(host, port, self.troubles)
        if addresses is None:
            addresses = tuple(endpoint.address for endpoint in self._kept if endpoint.port == port)
        for address in addresses:
            self._ready[address, port] = is_ready or self._ready.get((address, port), False)

    def endpoints(self, others: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        """Return them with those that are given by address."""
        if not self._ready:
            return others
        found = {(endpoint.address, endpoint.port): endpoint for endpoint in others}
        for (address, port), ready in self._ready.items():
            found.setdefault((address, port), Endpoint(address, port, not ready))
        return tuple(found[key] for key in sorted(found))


def refused_name(host: str) -> str:
    """Return why a name, in lower case and without a dot at its end, is not used; "" when it is."""
    try:
        if not parse_host(host) or host.startswith("*"):
            return "is not the name of a host"
    except HostProblem as problem:
        is_address = not host.strip("0123456789.") or ":" in host
        return "is an address, which only an EndpointSlice can have" if is_address else str(problem)
    if "." not in host:
        return "has a single label, which would be looked up in the gateway's own cluster"
    if _OF_CLUSTER.fullmatch(host):
        return "is a name of a Kubernetes cluster, and would be looked up in the gateway's own"
    return ""


def external_port(service: Service, port: str) -> int | None:
    """Return the port of the host behind an ExternalName Service, None where nothing says it.

    It may list no ports; then that of the rule is the host's. A name of a target port has no pods to be of.
    """
    for candidate in service.spec.ports:
        if candidate.protocol == "TCP" and port in ("", str(candidate.port), candidate.name):
            return _target(candidate)
    return int(port) if not service.spec.ports and port.isdecimal() else None


def _target(port: ServicePort) -> int:
    return port.target_port if isinstance(port.target_port, int) and port.target_port else port.port
