"""The budget of a host: the cost of one request that the patterns of all its Ingresses may cause together.

An unchanged Ingress comes before an edited one, and the older before the younger: no Ingress loses rules
because a neighbour writes more of them. Namespaces that do not own the host have half of the budget together,
so that they cannot use up the owner's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from controlplane.translate.budgets.work import steps, work_by_host
from controlplane.translate.closed import EFFECT
from controlplane.translate.hostowners import HostOwners, is_canary
from controlplane.translate.live import Outcome, World, before_edit, closed_instead

_BUDGET = "max-host-pattern-work"


def within_host_budgets(outcomes: Sequence[Outcome], world: World) -> tuple[Outcome, ...]:
    """Return the outcomes; an Ingress over the budget of a host has its last good version, or nothing."""
    roughly: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        for host, work in (outcome.plan.work if outcome.plan is not None else {}).items():
            roughly[host] += work
    most_of_others = _of_others(world.limits.max_host_pattern_work)
    crowded = frozenset(host for host, work in roughly.items() if work > most_of_others)
    return _fitted(outcomes, crowded, world) if crowded else tuple(outcomes)


def _of_others(most: int) -> int:
    """Return how much of a budget is for namespaces that do not own the host."""
    return most // 2


class _Spent(msgspec.Struct, frozen=True):
    """The budgets of the crowded hosts, in steps per octet."""

    most: int
    owners: Mapping[str, str]  # namespaces
    by_all: dict[str, int]
    by_others: dict[str, int]

    def left(self, host: str, namespace: str) -> int:
        left = self.most - self.by_all[host]
        if namespace == self.owners.get(host, namespace):
            return left
        return min(left, _of_others(self.most) - self.by_others[host])

    def add(self, host: str, namespace: str, work: int) -> None:
        self.by_all[host] += work
        if namespace != self.owners.get(host, namespace):
            self.by_others[host] += work


def _fitted(outcomes: Sequence[Outcome], crowded: frozenset[str], world: World) -> tuple[Outcome, ...]:
    most = world.limits.max_host_pattern_work
    spent = _Spent(most, _owners(outcomes, crowded), dict.fromkeys(crowded, 0), dict.fromkeys(crowded, 0))
    fitted = list(outcomes)
    concerned = [
        (index, outcome)
        for index, outcome in enumerate(outcomes)
        if outcome.plan is not None and not crowded.isdisjoint(outcome.plan.work)
    ]
    for index, outcome in sorted(concerned, key=lambda item: _precedence(item[1], world)):
        fitted[index] = _fitting(outcome, spent, world)
        for host, work in _work(fitted[index], spent).items():
            spent.add(host, outcome.findings.subject.namespace, work)
    return tuple(fitted)


def _owners(outcomes: Sequence[Outcome], crowded: frozenset[str]) -> dict[str, str]:
    """Return the namespace that owns each host: on the lowest port, where the owner differs by port."""
    routes = [
        route
        for outcome in outcomes
        if not is_canary(outcome)
        for route in outcome.routes
        if route.host in crowded
    ]
    owners = HostOwners(routes)
    ports = {route.host: min(route.ports) for route in routes if route.ports}
    return {host: owners.of(port, host)[0] for host, port in ports.items()}


def _precedence(outcome: Outcome, world: World) -> tuple[bool, str, str]:
    subject = outcome.findings.subject
    is_edited = world.last_good.ingresses.get(subject.identity) != outcome.live
    return is_edited, outcome.plan.created if outcome.plan is not None else "", subject.key


def _work(outcome: Outcome, spent: _Spent) -> dict[str, int]:
    """Return the work of the crowded hosts, exactly."""
    return work_by_host((route for route in outcome.routes if route.host in spent.by_all), steps)


def _fitting(outcome: Outcome, spent: _Spent, world: World) -> Outcome:
    over = _over(outcome, spent)
    if over is None:
        return outcome
    instead, effect = before_edit(outcome, world), "the last good version stays live"
    if instead is None or _over(instead, spent) is not None:
        instead, effect = closed_instead(outcome, world), EFFECT
    if instead is None:
        instead, effect = replace(outcome, routes=(), plan=None), "the Ingress is not served"
    _report(outcome, *over, spent, effect)
    return instead


def _over(outcome: Outcome, spent: _Spent) -> tuple[str, int] | None:
    """Return the host whose budget an Ingress does not fit into any more, and its work there."""
    for host, work in _work(outcome, spent).items():
        if work > spent.left(host, outcome.findings.subject.namespace):
            return host, work
    return None


def _report(outcome: Outcome, host: str, work: int, spent: _Spent, effect: str) -> None:
    owner, namespace = spent.owners.get(host, ""), outcome.findings.subject.namespace
    others = f", half of which is for namespaces other than {owner}, which has the host"
    outcome.findings.add(
        "FG0722",
        "spec.rules",
        work,
        found=work,
        host=host or "any host",
        total=spent.by_all[host] + work,
        budget=_BUDGET,
        most=spent.most,
        left=max(spent.left(host, namespace), 0),
        others=others if owner not in ("", namespace) else "",
        effect=effect,
    )
