"""The host, the path and the backend of one rule as written; unusable ones are reported."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import field

from controlplane.resources.ingress import Ingress, IngressBackend, IngressPath, ServiceBackend
from controlplane.translate.annotations.actions import FAMILY as ACTIONS
from controlplane.translate.annotations.actions import NO_ACTION, USE_ANNOTATION, FinalAction, RuleAction
from controlplane.translate.annotations.conditions import RuleConditions
from controlplane.translate.annotations.draft import Draft, PlannedBackend
from controlplane.translate.annotations.rewrite import missing_group
from controlplane.translate.diagnostics import Findings
from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.paths import PATH_TYPES, PathProblem, parse_path
from controlplane.translate.responses import PlannedResponse
from controlplane.translate.services import ServiceRef
from proxy.model.policies import Policies, ValueSource
from proxy.model.snapshot import PathMatch

_PORT_RANGE: Final = "a Service name and a port of it: 1 to 65535, or its name"


class Surroundings(msgspec.Struct, frozen=True):
    """An Ingress with its annotations about all rules and about single services; None is unusable."""

    ingress: Ingress
    draft: Draft
    conditions: Mapping[str, RuleConditions | None]
    actions: Mapping[str, RuleAction | None]
    responses: frozenset[str]  # services whose rules are about responses
    findings: Findings
    planned_responses: list[PlannedResponse] = field(default_factory=list)
    is_closed: bool = False  # rules are there to answer 503: none is left out for its backend
    _policies: dict[int, Policies | None] = field(default_factory=dict)

    def policies(self, action: RuleAction = NO_ACTION) -> Policies | None:
        """Return one object for all rules with this action: it may be large, and they may be thousands."""
        if id(action) not in self._policies:
            self._policies[id(action)] = action.policies(self.draft)
        return self._policies[id(action)]


def read_host(place: str, text: str, findings: Findings) -> str | None:
    try:
        host = parse_host(text)
        if host != text:
            raise HostProblem("has capital letters, with which the API server refuses an Ingress")
    except HostProblem as problem:
        findings.add("FG0301", place, text, problem=problem)
        return None
    return host


def read_path(place: str, path: IngressPath, around: Surroundings) -> PathMatch | None:
    if path.path_type and path.path_type not in PATH_TYPES:
        around.findings.add("FG0303", f"{place}.pathType", path.path_type)
        return None
    try:
        match = parse_path(path.path_type, path.path, around.draft.paths)
    except PathProblem as problem:
        around.findings.add("FG0302", f"{place}.path", path.path, problem=problem, allowed=problem.allowed)
        return None
    _check_groups(place, path, match, around)
    return match


def _check_groups(place: str, path: IngressPath, match: PathMatch, around: Surroundings) -> None:
    """Report a group of the rewrite that holds for the path, and that the path has not."""
    name = path.backend.service.name if path.backend.service is not None else ""
    own = (around.actions.get(name) or NO_ACTION).rewrite
    templates = _templates(around.draft)
    if own is not None:
        templates = {f"Rewrite of actions.{name}": (own.path, own.query or "")}
    for annotation, texts in templates.items():
        group, count = missing_group(texts, match)
        if group:
            has = f"{count} group{'s' if count > 1 else ''}" if count else "no groups"
            details = {"rewrite": annotation, "group": group, "count": has}
            around.findings.add("FG0311", f"{place}.path", path.path, **details)


def _templates(draft: Draft) -> dict[str, tuple[str, ...]]:
    """Return the templates of an Ingress that may contain groups, by the field they are written in."""
    templates: dict[str, tuple[str, ...]] = {
        change.name: (change.value,)
        for change in draft.request_headers
        if change.source is ValueSource.TEMPLATE
    }
    if draft.rewrite is not None:
        templates["rewrite-target"] = (draft.rewrite.path, draft.rewrite.query or "")
    if draft.answer is not None:
        answer = draft.answer
        templates["the redirect"] = (answer.host, answer.path, answer.query, answer.location)
    return templates


def read_service(place: str, backend: IngressBackend, findings: Findings) -> ServiceBackend | None:
    if backend.resource is not None:
        resource = f"{backend.resource.kind} {backend.resource.name}"
        findings.add("FG0305", f"{place}.resource", backend.resource.name, resource=resource)
        return None
    service = backend.service
    if service is None or not service.name:
        findings.add("FG0304", f"{place}.service", problem="names no Service", allowed=_PORT_RANGE)
        return None
    return service


def read_final(
    place: str, service: ServiceBackend, action: RuleAction | None, around: Surroundings
) -> FinalAction | None:
    """Return the final action of the rule; None, with a finding, when it cannot be used."""
    own = _backends(place, service, action, around)
    draft = around.draft
    if own is None or draft.answer is None:
        return own if draft.backends is None or own is None else draft.backends
    return draft.answer


def _backends(
    place: str, service: ServiceBackend, action: RuleAction | None, around: Surroundings
) -> FinalAction | None:
    port, findings = service.port, around.findings
    if port.name == USE_ANNOTATION:
        return _annotated(place, service, action, around)
    if bool(port.name) == bool(port.number) or not 0 <= port.number <= 65535:
        problem = "is not one port, by number or by name"
        written = port.name or port.number
        findings.add("FG0304", f"{place}.service.port", written, problem=problem, allowed=_PORT_RANGE)
        return None
    if action is not None and action.final is not None:
        # ALB appends the backend of the rule as a second final action, and refuses that.
        problem = f"with the final action of {ACTIONS}{service.name} the rule would have two"
        allowed = f"the port name {USE_ANNOTATION}"
        findings.add(
            "FG0304", f"{place}.service.port", port.name or port.number, problem=problem, allowed=allowed
        )
        return None
    draft = around.draft
    ref = ServiceRef.of(
        draft.namespace,
        service.name,
        port.name or port.number,
        labels=draft.labels,
        overrides=draft.overrides,
    )
    whole = ServiceRef.of(draft.namespace, service.name, port.name or port.number, overrides=draft.overrides)
    fallbacks = [PlannedBackend(whole.id)] if draft.labels else []
    if draft.default_backend is not None:
        fallbacks.append(draft.default_backend)
    return (PlannedBackend(ref.id, fallbacks=tuple(fallbacks)),)


def _annotated(
    place: str, service: ServiceBackend, action: RuleAction | None, around: Surroundings
) -> FinalAction | None:
    """Return the final action of the annotation."""
    if action is None:
        return None
    if action.final is None:
        problem = f"needs a ForwardGroup, Redirect or FixedResponse in {ACTIONS}{service.name}"
        where = f"{place}.service.port.name"
        around.findings.add("FG0304", where, USE_ANNOTATION, problem=problem, allowed=_PORT_RANGE)
    return action.final
