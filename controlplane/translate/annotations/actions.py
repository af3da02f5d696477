"""alb.ingress.kubernetes.io/actions.<service>: what is done with a request instead of one Service."""

import re
from typing import Any, Final

from controlplane.translate.annotations.draft import PlannedBackend
from controlplane.translate.annotations.loosejson import JsonProblem, fold, read, written
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect
from controlplane.translate.services import ServiceRef

FAMILY: Final = ALB + "actions."
TYPES: Final = (
    "ForwardGroup",
    "Redirect",
    "FixedResponse",
    "Rewrite",
    "InsertHeader",
    "RemoveHeader",
    "TrafficLimit",
    "TrafficMirror",
    "Cors",
)
SUPPORTED: Final = ("ForwardGroup",)
MAX_GROUPS: Final = 5
USE_ANNOTATION: Final = "use-annotation"
"""The port name of a backend whose action stands in the annotation."""

_GRAMMAR = (
    'a JSON array like [{"type": "ForwardGroup", "ForwardConfig":'
    ' {"ServerGroups": [{"ServiceName": "a", "ServicePort": 80, "Weight": 100}]}}]'
)
ACTIONS: Final = Annotation(
    "actions.*",
    (ALB,),
    Dialect.ALB,
    "says what is done with the requests of the rules with this backend service",
    type="JSON",
    allowed=_GRAMMAR,
    example='[{"type": "ForwardGroup", "ForwardConfig": {"ServerGroups":'
    ' [{"ServiceName": "a", "ServicePort": 80, "Weight": 100}]}}]',
)
ROWS: Final = (ACTIONS,)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TYPE_NAMES = {name.lower(): name for name in TYPES}

ServiceWeight = tuple[str, str, int]
"""Service name, port (number or name), weight."""


def parse(reader: Reader, namespace: str) -> dict[str, tuple[PlannedBackend, ...] | None]:
    """Return the backends of ForwardGroup by service name; None where the action is unusable."""
    found: dict[str, tuple[PlannedBackend, ...] | None] = {}
    for given in reader.members(ACTIONS):
        found[given.suffix] = _parse_one(given.field, given.text, namespace, reader.findings)
    return found


def _parse_one(
    field: str, text: str, namespace: str, findings: Findings
) -> tuple[PlannedBackend, ...] | None:
    try:
        value = read(text)
        actions = value if isinstance(value, list) else [value]  # the older form is one object, no array
        folded = [fold(action) for action in actions]
        if not folded:
            raise JsonProblem("is an empty array")
    except JsonProblem as problem:
        findings.add("FG0201", field, text, problem=problem, allowed=_GRAMMAR)
        return None
    forwards = [f for i, action in enumerate(folded) if (f := _action(f"{field}[{i}]", action, findings))]
    if len(forwards) < len(folded):
        return None
    if len(forwards) > 1:
        findings.add("FG0201", field, text, problem="has several final actions", allowed="one ForwardGroup")
        return None
    return tuple(
        PlannedBackend(ServiceRef.of(namespace, service, port).id, weight)
        for service, port, weight in forwards[0]
    )


def _action(field: str, action: dict[str, Any], findings: Findings) -> list[ServiceWeight]:
    named = action.get("type")
    kind = _TYPE_NAMES.get(named.lower()) if isinstance(named, str) else None
    if kind is None:
        cause = f"is not an action type{did_you_mean(written(named), TYPES)}"
        findings.add("FG0201", f"{field}.type", written(named), problem=cause, allowed=", ".join(TYPES))
        return []
    if kind not in SUPPORTED:
        findings.add("FG0203", f"{field}.type", named, note="", allowed=", ".join(SUPPORTED))
        return []
    return _forward(f"{field}.ForwardConfig", action.get("forwardconfig"), findings)


def _forward(field: str, value: Any, findings: Findings) -> list[ServiceWeight]:
    groups_field = f"{field}.ServerGroups"
    try:
        config = fold(value)
        groups = config.get("servergroups")
        if not isinstance(groups, list) or not 1 <= len(groups) <= MAX_GROUPS:
            raise JsonProblem(f"does not have 1 to {MAX_GROUPS} server groups")
        folded = [fold(group) for group in groups]
    except JsonProblem as problem:
        findings.add("FG0201", groups_field, written(value), problem=problem, allowed=_GRAMMAR)
        return []
    _check_sticky(f"{field}.ServerGroupStickySession", config.get("servergroupstickysession"), findings)
    usable = [
        read
        for index, group in enumerate(folded)
        if (read := _group(f"{groups_field}[{index}]", group, len(folded), findings))
    ]
    if len(usable) < len(folded):
        return []
    if not any(weight for _, _, weight in usable):
        cause, allowed = "has only weights of 0", "at least one weight above 0"
        findings.add("FG0201", groups_field, problem=cause, allowed=allowed)
        return []
    return usable


def _check_sticky(field: str, value: Any, findings: Findings) -> None:
    if isinstance(value, dict) and fold(value).get("enabled") in (True, "true"):
        findings.add("FG0202", field, "Enabled", note="")


def _group(field: str, group: dict[str, Any], count: int, findings: Findings) -> ServiceWeight | None:
    group_id = group.get("servergroupid")
    if group_id:
        # Where both are given the server group wins, so falling back to the Service would be wrong.
        note = ": server groups outside the clusters cannot be used"
        findings.add(
            "FG0203", f"{field}.ServerGroupID", group_id, note=note, allowed="ServiceName and ServicePort"
        )
        return None
    name = _service_name(f"{field}.ServiceName", group.get("servicename"), findings)
    port = _port(f"{field}.ServicePort", group.get("serviceport"), findings)
    weight = _weight(f"{field}.Weight", group.get("weight"), count, findings)
    if name and port and weight is not None:
        return name, port, weight
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
