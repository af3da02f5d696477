"""The phase of an MseIngressConfig: the one word that kubectl shows, and the message that explains it."""

from collections.abc import Mapping
from enum import StrEnum

from controlplane.resources.view import MemberObjects
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.model import Facts

ENVIRONMENT = ("FG0507",)
"""Errors that are no fault of the object: they show in Programmed, not in Accepted."""


class Phase(StrEnum):
    PENDING = "Pending"  # no attached cluster has been listed yet
    RUNNING = "Running"  # no class leads to it
    LISTENING = "Listening"
    FAILED = "Failed"  # nothing listens


def phase_of(gateway: LiveGateway, members: Mapping[str, MemberObjects], facts: Facts) -> tuple[Phase, str]:
    """Return phase and message; the message is "" when there is nothing to do."""
    errors = "; ".join(item.text for item in gateway.findings.items if item.level == "error")
    if all(port in facts.failed_ports for port in gateway.ports):
        return Phase.FAILED, errors or "there is no listener that can be opened"
    if gateway.clusters and not any(_is_listed(cluster, members) for cluster in gateway.clusters):
        waiting = f"not listed yet: {', '.join(gateway.clusters)}"
        return Phase.PENDING, "; ".join(filter(None, (errors, waiting)))
    if not gateway.serves_ingresses:
        unserved = (item.text for item in gateway.findings.items if item.code == "FG0107")
        return Phase.RUNNING, "; ".join(filter(None, (errors, *unserved)))
    return Phase.LISTENING, errors


def _is_listed(cluster: str, members: Mapping[str, MemberObjects]) -> bool:
    member = members.get(cluster)
    return member is not None and member.synced
