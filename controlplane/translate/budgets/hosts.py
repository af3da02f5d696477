"""The budget of a host: what the patterns of all its Ingresses together may cost a request.

An Ingress that is as it was comes before one that was edited, and the older before the younger: nobody
loses rules because a neighbour writes more of them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from controlplane.translate.budgets.work import steps, work_by_host
from controlplane.translate.live import Outcome, World, before_edit
from proxy.model.limits import Limits

_BUDGET = "max-host-pattern-work"


def within_host_budgets(outcomes: Sequence[Outcome], world: World) -> tuple[Outcome, ...]:
    """Return the outcomes; an Ingress over the budget of a host has its last good version, or nothing."""
    most = world.limits.max_host_pattern_work
    roughly: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        for host, work in (outcome.plan.work if outcome.plan is not None else {}).items():
            roughly[host] += work
    crowded = frozenset(host for host, work in roughly.items() if work > most)
    return _fitted(outcomes, crowded, world) if crowded else tuple(outcomes)


def _fitted(outcomes: Sequence[Outcome], crowded: frozenset[str], world: World) -> tuple[Outcome, ...]:
    spent = dict.fromkeys(crowded, 0)
    fitted = list(outcomes)
    concerned = [
        (index, outcome)
        for index, outcome in enumerate(outcomes)
        if outcome.plan is not None and not crowded.isdisjoint(outcome.plan.work)
    ]
    for index, outcome in sorted(concerned, key=lambda item: _precedence(item[1], world)):
        fitted[index] = _fitting(outcome, spent, world)
        for host, work in _work(fitted[index], spent).items():
            spent[host] += work
    return tuple(fitted)


def _precedence(outcome: Outcome, world: World) -> tuple[bool, str, str]:
    subject = outcome.findings.subject
    is_edited = world.last_good.ingresses.get(subject.identity) != outcome.live
    return is_edited, outcome.plan.created if outcome.plan is not None else "", subject.key


def _work(outcome: Outcome, spent: Mapping[str, int]) -> dict[str, int]:
    """Return the work of the crowded hosts, exactly."""
    return work_by_host((route for route in outcome.routes if route.host in spent), steps)


def _fitting(outcome: Outcome, spent: Mapping[str, int], world: World) -> Outcome:
    host = _over(outcome, spent, world.limits)
    if host is None:
        return outcome
    earlier = before_edit(outcome, world)
    if earlier is None or _over(earlier, spent, world.limits) is not None:
        effect, earlier = "the Ingress is not served", replace(outcome, routes=(), plan=None)
    else:
        effect = "the last good version stays live"
    _report(outcome, host, spent, world.limits, effect)
    return earlier


def _over(outcome: Outcome, spent: Mapping[str, int], limits: Limits) -> str | None:
    """Return the host whose budget an Ingress does not fit into any more."""
    for host, work in _work(outcome, spent).items():
        if spent[host] + work > limits.max_host_pattern_work:
            return host
    return None


def _report(outcome: Outcome, host: str, spent: Mapping[str, int], limits: Limits, effect: str) -> None:
    value, before, most = _work(outcome, spent)[host], spent[host], limits.max_host_pattern_work
    outcome.findings.add(
        "FG0722",
        "spec.rules",
        value,
        found=value,
        host=host or "any host",
        total=before + value,
        budget=_BUDGET,
        most=most,
        left=most - before,
        effect=effect,
    )
