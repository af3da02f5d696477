"""The desired `.status` of gateways and Ingresses."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from controlplane.resources.kinds import ALBCONFIGS, INGRESSES, MSE_INGRESS_CONFIGS, SERVER_GROUPS, Kind
from controlplane.resources.view import MemberObjects
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.model import Facts, ObjectStatus
from controlplane.translate.phases import ENVIRONMENT, Phase, phase_of
from controlplane.translate.servergroups import Group
from controlplane.translate.tlshosts import ListedCertificate
from proxy.model.snapshot import Route


def ingress_status(subject: Subject, routes: Iterable[Route], facts: Facts) -> ObjectStatus:
    """Return the status of an Ingress: the gateway's address when it has live routes, else none.

    The empty list is written, not left out: an address that no longer serves has to go.
    """
    ports = sorted({port for route in routes for port in route.ports if port not in facts.failed_ports})
    entries: list[dict[str, Any]] = []
    if ports and facts.address:
        listed = [{"port": port, "protocol": "TCP"} for port in ports]
        entries.append({_address_field(facts.address): facts.address, "ports": listed})
    status = {"loadBalancer": {"ingress": entries}}
    return ObjectStatus(INGRESSES, subject.namespace, subject.name, subject.uid, status, subject.generation)


def released_status(subject: Subject, facts: Facts) -> ObjectStatus:
    """Return the status of an Ingress that is not ours (any more), without our address."""
    return ObjectStatus(
        INGRESSES,
        subject.namespace,
        subject.name,
        subject.uid,
        {},
        subject.generation,
        releases=facts.address,
    )


def kept_entries(entries: list[Any], address: str) -> list[Any]:
    """Return the entries of a load balancer without those that `ingress_status` writes for an address."""
    return [entry for entry in entries if not _is_own(entry, address)]


def _is_own(entry: Any, address: str) -> bool:
    """Return whether this gateway wrote an entry. Others may have the same address, but not ports in this
    form.
    """
    if not isinstance(entry, dict) or entry.get(_address_field(address)) != address:
        return False
    ports = entry.get("ports")
    if set(entry) != {_address_field(address), "ports"} or not isinstance(ports, list) or not ports:
        return False
    return all(isinstance(port, dict) and set(port) == {"port", "protocol"} for port in ports)


def gateway_status(
    gateway: LiveGateway,
    members: Mapping[str, MemberObjects],
    facts: Facts,
    certificates: Mapping[int, tuple[ListedCertificate, ...]],
) -> ObjectStatus:
    """Return the status of a gateway, with the fields that scripts for its dialect read."""
    conditions = [
        _accepted(gateway),
        _programmed(gateway, facts),
        _references(gateway),
        _members_ready(gateway, members),
    ]
    subject = gateway.subject
    listed = [{**condition, "observedGeneration": subject.generation} for condition in conditions]
    if gateway.dialect is Dialect.ALB:
        return _status(
            ALBCONFIGS,
            subject,
            {"loadBalancer": _balancer(gateway, facts, certificates), "conditions": listed},
        )
    phase, message = phase_of(gateway, members, facts)
    return _status(MSE_INGRESS_CONFIGS, subject, _mse(gateway, phase, message) | {"conditions": listed})


def unreadable_status(findings: Findings) -> ObjectStatus:
    """Return the status of a gateway's object that cannot be read and never could be."""
    problems = [item.text for item in findings.items]
    condition = _condition("Accepted", problems, ("Accepted", "Invalid"), "")
    status: dict[str, Any] = {
        "conditions": [{**condition, "observedGeneration": findings.subject.generation}]
    }
    if findings.subject.kind == "AlbConfig":
        return _status(ALBCONFIGS, findings.subject, status)
    status |= {"phase": Phase.FAILED.value, "message": "; ".join(problems)}
    return _status(MSE_INGRESS_CONFIGS, findings.subject, status)


def _status(kind: Kind[Any], subject: Subject, status: dict[str, Any]) -> ObjectStatus:
    return ObjectStatus(kind, subject.namespace, subject.name, subject.uid, status, subject.generation)


def _balancer(
    gateway: LiveGateway, facts: Facts, certificates: Mapping[int, tuple[ListedCertificate, ...]]
) -> dict[str, Any]:
    return {
        "dnsname": facts.address,
        "id": _stable_id(gateway.subject),
        "listeners": [
            {
                "portAndProtocol": f"{listener.port}/{listener.protocol}",
                "certificates": [
                    {"certificateId": each.secret, "isDefault": each.is_default}
                    for each in certificates.get(listener.port, ())
                ],
            }
            for listener in gateway.listeners
            if listener.port not in facts.failed_ports
        ],
        "subClusters": list(gateway.clusters),
    }


def _mse(gateway: LiveGateway, phase: Phase, message: str) -> dict[str, Any]:
    remote: list[dict[str, str]] = [{"clusterId": cluster} for cluster in gateway.clusters]
    remote += [{"clusterId": cluster, "state": "Failed"} for cluster in gateway.unknown_clusters]
    return {"phase": phase.value, "message": message, "remoteClusters": remote}


def server_group_status(group: Group) -> ObjectStatus:
    """Return the status of a ServerGroup."""
    subject, items = group.subject, group.findings.items
    invalid = [item.text for item in items if item.level == "error"]
    unresolved = [item.text for item in items if item.code in ("FG0608", "FG0609")]
    conditions = [
        _condition("Accepted", invalid, ("Accepted", "Invalid"), "every value can be used"),
        _condition(
            "ResolvedRefs", unresolved, ("ResolvedRefs", "HostNotResolved"), "every host name has an address"
        ),
    ]
    status = {
        "servers": group.servers,
        "endpoints": sum(len(zone.endpoints) for zone in group.service.clusters),
        "conditions": [{**condition, "observedGeneration": subject.generation} for condition in conditions],
    }
    return ObjectStatus(
        SERVER_GROUPS, subject.namespace, subject.name, subject.uid, status, subject.generation
    )


def _address_field(address: str) -> str:
    try:
        ip_address(address)
    except ValueError:
        return "hostname"
    return "ip"


def _stable_id(subject: Subject) -> str:
    return "alb-" + sha256(f"{subject.name}/{subject.uid}".encode()).hexdigest()[:18]


def _condition(kind: str, problems: list[str], reasons: tuple[str, str], message: str) -> dict[str, str]:
    """Return a condition that is true without problems; `reasons` are of True and of False."""
    return {
        "type": kind,
        "status": "False" if problems else "True",
        "reason": reasons[bool(problems)],
        "message": "; ".join(problems) if problems else message,
    }


def _accepted(gateway: LiveGateway) -> dict[str, str]:
    problems = [
        item.text for item in gateway.findings.items if item.level == "error" and item.code not in ENVIRONMENT
    ]
    return _condition("Accepted", problems, ("Accepted", "Invalid"), "every value can be used")


def _programmed(gateway: LiveGateway, facts: Facts) -> dict[str, str]:
    problems = [
        f"port {port} cannot be opened: {facts.failed_ports[port]}"
        for port in gateway.ports
        if port in facts.failed_ports
    ]
    if not gateway.ports:
        problems.append("there is no listener that can be opened")
    listed = f"listeners are open: {gateway.listed_listeners()}"
    return _condition("Programmed", problems, ("Programmed", "ListenerFailed"), listed)


def _references(gateway: LiveGateway) -> dict[str, str]:
    problems = [item.text for item in gateway.findings.items if item.code in ("FG0401", "FG0402")]
    return _condition(
        "ResolvedRefs", problems, ("ResolvedRefs", "ClusterNotFound"), "every named cluster is attached"
    )


def _members_ready(gateway: LiveGateway, members: Mapping[str, MemberObjects]) -> dict[str, str]:
    problems: list[str] = []
    for cluster in gateway.clusters:
        member = members.get(cluster)
        if member is None or not member.synced:
            problems.append(f"cluster {cluster} has not been listed yet")
        elif member.stale:
            problems.append(f"cluster {cluster} does not answer; its last known endpoints are used")
    listed = f"clusters in use: {', '.join(gateway.clusters) or 'none'}"
    return _condition("MembersReady", problems, ("Synced", "NotSynced"), listed)
