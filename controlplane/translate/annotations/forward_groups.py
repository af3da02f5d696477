"""Server groups in ALB actions: Services and ServerGroups with weights, to forward or mirror to."""

import re
from typing import Any, Final

from controlplane.translate.annotations.draft import PlannedBackend
from controlplane.translate.annotations.loosejson import JsonProblem, fold, written
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.diagnostics import Findings
from controlplane.translate.services import ServiceRef
from proxy.model.actions import Sticky

MAX_GROUPS: Final = 5
STICKY_COOKIE: Final = "SERVERID"
STICKY_S: Final = (1, 86_400, 1000)
"""Lowest, highest and default lifetime of the cookie, in seconds."""

GRAMMAR: Final = (
    '{"ServerGroups": [{"ServiceName": "a", "ServicePort": 80, "Weight": 80},'
    ' {"ServerGroupID": "sgp-b", "Weight": 20}]}'
)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_GROUP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def backends(
    field: str, value: Any, key: str, namespace: str, findings: Findings
) -> tuple[PlannedBackend, ...] | None:
    """Return the groups in the list `key` (in lower case) of an object; None when any is unusable."""
    try:
        groups = fold(value).get(key)
        if not isinstance(groups, list) or not 1 <= len(groups) <= MAX_GROUPS:
            raise JsonProblem(f"does not have 1 to {MAX_GROUPS} server groups")
        folded = [fold(group) for group in groups]
    except JsonProblem as problem:
        findings.add("FG0201", field, written(value), problem=problem, allowed=GRAMMAR)
        return None
    found = [
        _group(f"{field}[{index}]", group, len(folded), namespace, findings)
        for index, group in enumerate(folded)
    ]
    usable = tuple(backend for backend in found if backend is not None)
    if len(usable) < len(found):
        return None
    if not any(backend.weight for backend in usable):
        cause, allowed = "has only weights of 0", "at least one weight above 0"
        findings.add("FG0201", field, problem=cause, allowed=allowed)
        return None
    return usable


def sticky(field: str, value: Any, findings: Findings) -> Sticky | None:
    """Return the sessions that ServerGroupStickySession asks for; None when it is off or unusable."""
    if value is None:
        return None
    try:
        config = fold(value)
    except JsonProblem as problem:
        allowed = '{"Enabled": true, "Timeout": 1000}'
        findings.add("FG0201", field, written(value), problem=problem, allowed=allowed)
        return None
    if config.get("enabled") not in (True, "true"):
        return None
    lowest, highest, default = STICKY_S
    timeout = config.get("timeout")
    lifetime_s = default if timeout is None else integer(timeout, lowest, highest)
    if lifetime_s is None:
        allowed = f"{lowest} to {highest} seconds"
        cause = "is not a lifetime"
        findings.add("FG0201", f"{field}.Timeout", written(timeout), problem=cause, allowed=allowed)
        return None
    return Sticky(STICKY_COOKIE, max_age_s=lifetime_s)


def _group(
    field: str, group: dict[str, Any], count: int, namespace: str, findings: Findings
) -> PlannedBackend | None:
    weight = _weight(f"{field}.Weight", group.get("weight"), count, findings)
    group_id = group.get("servergroupid")
    if group_id:  # wins where a Service is given too
        if isinstance(group_id, str) and _GROUP_ID.fullmatch(group_id):
            return None if weight is None else PlannedBackend(group=group_id, weight=weight, place=field)
        allowed = "the spec.id or the name of a ServerGroup in the namespace of the Ingress"
        problem = "is not the id of a server group"
        findings.add("FG0201", f"{field}.ServerGroupID", written(group_id), problem=problem, allowed=allowed)
        return None
    name = _service_name(f"{field}.ServiceName", group.get("servicename"), findings)
    port = _port(f"{field}.ServicePort", group.get("serviceport"), findings)
    if name and port and weight is not None:
        return PlannedBackend(ServiceRef.of(namespace, name, port).id, weight, place=field)
    return None


def _service_name(field: str, value: Any, findings: Findings) -> str:
    if isinstance(value, str) and _DNS_LABEL.fullmatch(value):
        return value
    allowed = "the name of a Service in the namespace of the Ingress"
    findings.add("FG0201", field, written(value), problem="is not a Service name", allowed=allowed)
    return ""


def _port(field: str, value: Any, findings: Findings) -> str:
    number = integer(value, 1, 65535)
    if number is not None:
        return str(number)
    if isinstance(value, str) and _DNS_LABEL.fullmatch(value) and not value.isdigit():
        return value
    allowed = "a port of the Service: 1 to 65535, or its name"
    findings.add("FG0201", field, written(value), problem="is not a Service port", allowed=allowed)
    return ""


def _weight(field: str, value: Any, count: int, findings: Findings) -> int | None:
    if value is None and count <= 2:
        return 100
    weight = integer(value, 0, 100)
    if weight is None:
        allowed = "an integer from 0 to 100; it may be left out with one or two groups"
        findings.add("FG0201", field, written(value), problem="is not a weight", allowed=allowed)
    return weight
