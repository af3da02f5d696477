"""alb.ingress.kubernetes.io/actions.<service>: the actions of a rule.

At most one final action (forward, redirect or a fixed response), and any number of others that change
requests and responses on their way.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import field

from controlplane.translate.annotations import action_values as values
from controlplane.translate.annotations import forward_groups
from controlplane.translate.annotations.draft import Draft, PlannedBackend
from controlplane.translate.annotations.loosejson import JsonProblem, fold, read, written
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect
from proxy.model.actions import FixedResponse, Redirect, Sticky
from proxy.model.policies import Cors, HeaderChange, Policies, RateLimit, Rewrite

FAMILY: Final = ALB + "actions."
MAX_ACTIONS: Final = 5
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
    "names the actions of the rules with this backend service",
    type="JSON",
    allowed=_GRAMMAR,
    example='[{"type": "ForwardGroup", "ForwardConfig": {"ServerGroups":'
    ' [{"ServiceName": "a", "ServicePort": 80, "Weight": 100}]}}]',
)
ROWS: Final = (ACTIONS,)

FinalAction = tuple[PlannedBackend, ...] | Redirect | FixedResponse


class RuleAction(msgspec.Struct):
    """The actions for one service."""

    final: FinalAction | None = None
    sticky: Sticky | None = None
    rewrite: Rewrite | None = None
    headers: list[HeaderChange] = field(default_factory=list)  # of requests, or of responses by direction
    rate_limits: list[RateLimit] = field(default_factory=list)
    mirror: tuple[PlannedBackend, ...] = ()
    cors: Cors | None = None

    def policies(self, draft: Draft) -> Policies | None:
        """Return the policies of the whole Ingress, with these actions in front of them."""
        common = draft.policies() or Policies()
        policies = msgspec.structs.replace(
            common,
            rewrite=self.rewrite or common.rewrite,
            request_headers=(*self.headers, *common.request_headers),
            rate_limits=(*self.rate_limits, *common.rate_limits),
            cors=self.cors or common.cors,
        )
        return policies if policies != Policies() else None


NO_ACTION: Final = RuleAction()


class _Place(msgspec.Struct, frozen=True):
    """The place of an action, and the context in which its Services are looked up."""

    field: str
    namespace: str
    findings: Findings


def parse(reader: Reader, namespace: str) -> dict[str, RuleAction | None]:
    """Return the actions by service name; None for a service whose actions are unusable."""
    return {
        given.suffix: _parse_one(given.text, _Place(given.field, namespace, reader.findings))
        for given in reader.members(ACTIONS)
    }


def _parse_one(text: str, place: _Place) -> RuleAction | None:
    try:
        value = read(text)
        actions = value if isinstance(value, list) else [value]  # the older form is one object, no array
        folded = [fold(action) for action in actions]
        if not 1 <= len(folded) <= MAX_ACTIONS:
            raise JsonProblem(f"does not have 1 to {MAX_ACTIONS} actions")
    except JsonProblem as problem:
        place.findings.add("FG0201", place.field, text, problem=problem, allowed=_GRAMMAR)
        return None
    found = RuleAction()
    usable = [
        _action(action, found, _Place(f"{place.field}[{index}]", place.namespace, place.findings))
        for index, action in enumerate(folded)
    ]
    return found if all(usable) and _fits_together(text, found, place) else None


def _fits_together(text: str, found: RuleAction, place: _Place) -> bool:
    if found.rewrite is None or found.final is None or isinstance(found.final, tuple):
        return True
    problem, allowed = "has a Rewrite without anything to forward to", "Rewrite together with ForwardGroup"
    place.findings.add("FG0201", place.field, text, problem=problem, allowed=allowed)
    return False


def _action(action: dict[str, Any], found: RuleAction, place: _Place) -> bool:
    """Add an action to the draft; return False when the action cannot be used."""
    named = action.get("type")
    kind = _TYPE_NAMES.get(named.lower()) if isinstance(named, str) else None
    if kind is None:
        cause = f"is not an action type{did_you_mean(written(named), TYPES)}"
        place.findings.add(
            "FG0201", f"{place.field}.type", written(named), problem=cause, allowed=", ".join(TYPES)
        )
        return False
    name, add = _KINDS[kind]
    return add(
        action.get(name.lower()), found, _Place(f"{place.field}.{name}", place.namespace, place.findings)
    )


def _set_final(final: FinalAction | None, found: RuleAction, place: _Place) -> bool:
    if final is None:
        return False
    if found.final is not None:
        allowed = "one ForwardGroup, Redirect or FixedResponse"
        place.findings.add("FG0201", place.field, problem="is a second final action", allowed=allowed)
        return False
    found.final = final
    return True


def _forward(value: Any, found: RuleAction, place: _Place) -> bool:
    groups = forward_groups.backends(
        f"{place.field}.ServerGroups", value, "servergroups", place.namespace, place.findings
    )
    if isinstance(value, dict):
        session = fold(value).get("servergroupstickysession")
        found.sticky = forward_groups.sticky(
            f"{place.field}.ServerGroupStickySession", session, place.findings
        )
    return _set_final(groups, found, place)


def _redirect(value: Any, found: RuleAction, place: _Place) -> bool:
    return _set_final(values.redirect(place.field, value, place.findings), found, place)


def _fixed(value: Any, found: RuleAction, place: _Place) -> bool:
    return _set_final(values.fixed_response(place.field, value, place.findings), found, place)


def _rewrite(value: Any, found: RuleAction, place: _Place) -> bool:
    if found.rewrite is not None:
        place.findings.add(
            "FG0201", place.field, problem="is a second Rewrite", allowed="at most one Rewrite"
        )
        return False
    found.rewrite = values.rewrite(place.field, value, place.findings)
    return found.rewrite is not None


def _header(change: HeaderChange | None, found: RuleAction) -> bool:
    if change is None:
        return False
    found.headers.append(change)
    return True


def _insert(value: Any, found: RuleAction, place: _Place) -> bool:
    return _header(values.insert_header(place.field, value, place.findings), found)


def _remove(value: Any, found: RuleAction, place: _Place) -> bool:
    return _header(values.remove_header(place.field, value, place.findings), found)


def _limit(value: Any, found: RuleAction, place: _Place) -> bool:
    limits = values.traffic_limit(place.field, value, place.findings)
    found.rate_limits.extend(limits)
    return bool(limits)


def _mirror(value: Any, found: RuleAction, place: _Place) -> bool:
    groups = values.mirror_groups(place.field, value, place.findings)
    tuples = None
    if groups is not None:
        tuples = forward_groups.backends(
            f"{place.field}.MirrorGroupConfig.ServerGroupTuples",
            groups,
            "servergrouptuples",
            place.namespace,
            place.findings,
        )
    found.mirror = tuples or ()
    return tuples is not None


def _cors(value: Any, found: RuleAction, place: _Place) -> bool:
    found.cors = values.cors(place.field, value, place.findings)
    return found.cors is not None


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any, RuleAction, _Place], bool]]]] = {
    "ForwardGroup": ("ForwardConfig", _forward),
    "Redirect": ("RedirectConfig", _redirect),
    "FixedResponse": ("FixedResponseConfig", _fixed),
    "Rewrite": ("RewriteConfig", _rewrite),
    "InsertHeader": ("InsertHeaderConfig", _insert),
    "RemoveHeader": ("RemoveHeaderConfig", _remove),
    "TrafficLimit": ("TrafficLimitConfig", _limit),
    "TrafficMirror": ("TrafficMirrorConfig", _mirror),
    "Cors": ("CorsConfig", _cors),
}
"""By type: the name of the action's object, and the function that adds the action."""

TYPES: Final = tuple(_KINDS)
_TYPE_NAMES: Final = {name.lower(): name for name in TYPES}
