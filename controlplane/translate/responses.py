"""Rules with the direction Response, which change the responses of the other rules of their Ingress."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from controlplane.translate.annotations.actions import RuleAction
from controlplane.translate.annotations.conditions import RuleConditions
from controlplane.translate.annotations.rule_direction import RULE_DIRECTION
from controlplane.translate.diagnostics import Findings
from controlplane.translate.plan import PlannedRoute
from proxy.model.policies import Policies, ResponseRule
from proxy.model.snapshot import PathKind, PathMatch


class PlannedResponse(msgspec.Struct, frozen=True):
    """A rule about responses, where it stands, and which requests they answer."""

    field: str
    host: str
    path: PathMatch
    conditions: RuleConditions
    action: RuleAction

    def covers(self, route: PlannedRoute) -> bool:
        if self.host not in ("", route.host):
            return False
        if route.path == self.path or any(route.path == path for path in self.conditions.paths):
            return True
        if self.path.kind is not PathKind.PREFIX or route.path.kind in (PathKind.GLOB, PathKind.REGEX):
            return False
        return f"{route.path.value}/".startswith(self.path.value.rstrip("/") + "/")


def with_responses(
    routes: Iterable[PlannedRoute], planned: Iterable[PlannedResponse], findings: Findings
) -> tuple[PlannedRoute, ...]:
    """Return the routes with the rules about their responses; report those that are about none."""
    changed = list(routes)
    shared: dict[tuple[int, int], tuple[object, Policies]] = {}
    for response in planned:
        rule = _rule(response, findings)
        covered = [number for number, route in enumerate(changed) if response.covers(route)]
        if rule is not None and not covered:
            findings.add("FG0309", response.field)
        if rule is None:
            continue
        for number in covered:
            route = changed[number]
            changed[number] = replace(route, policies=_with_rule(route.policies, rule, shared))
    return tuple(changed)


def _with_rule(
    policies: Policies | None, rule: ResponseRule, shared: dict[tuple[int, int], tuple[object, Policies]]
) -> Policies:
    """Return the policies with one more rule; the same object again for the same policies and rule."""
    key = id(policies), id(rule)
    if key not in shared:
        own = policies or Policies()
        changed = msgspec.structs.replace(own, response_rules=(*own.response_rules, rule))
        shared[key] = (policies, rule), changed
    return shared[key][1]


def _rule(response: PlannedResponse, findings: Findings) -> ResponseRule | None:
    """Return the rule; None, with a finding, when it has settings that are for requests only."""
    conditions, action = response.conditions, response.action
    of_requests = conditions.of_request or conditions.hosts or action.final or action.rewrite
    if of_requests or action.rate_limits or action.mirror or action.cors or not action.headers:
        conditions_allowed = "conditions Path, ResponseStatusCode and ResponseHeader"
        allowed = f"{conditions_allowed}; actions InsertHeader and RemoveHeader"
        problem = "cannot be used for responses"
        findings.add("FG0201", response.field, RULE_DIRECTION.name, problem=problem, allowed=allowed)
        return None
    return ResponseRule(tuple(action.headers), tuple(conditions.statuses), tuple(conditions.response_headers))
