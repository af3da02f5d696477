"""Planned routes that workers could not use are left out and reported: accepted routes work.

The families of annotations refuse such values where they are written. The worker's own check finds the rest
here, before each request of the Ingress would be answered 500.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from controlplane.translate.annotations.draft import Canary
from controlplane.translate.diagnostics import Findings
from controlplane.translate.plan import PlannedForward, PlannedRoute
from proxy.model.actions import FixedResponse, Redirect
from proxy.model.conditions import Condition
from proxy.validation.actions import of_answer, of_balance
from proxy.validation.policies import of_policies, of_statuses
from proxy.validation.problem import Problem, Problems, within
from proxy.validation.routes import of_condition, of_path_match

T = TypeVar("T")


def usable_routes(
    routes: Iterable[PlannedRoute], canary: Canary | None, findings: Findings
) -> tuple[PlannedRoute, ...]:
    """Return the routes that can be used; the first problem of each part of the others is reported."""
    check = _Check()
    told: set[Problem] = set()
    usable: list[PlannedRoute] = []
    for route in routes:
        problems = check.of_route(route)
        if canary is not None and canary.condition is not None:
            problems += check.of_condition(canary.condition)
        for found in problems:
            if found not in told:
                told.add(found)
                findings.add(
                    "FG0310",
                    route.field,
                    found.value,
                    part=found.part,
                    problem=found.problem,
                    allowed=found.allowed,
                )
        if not problems:
            usable.append(route)
    return tuple(usable)


class _Check:
    """Checks values that routes of an Ingress share only once: policies may be large, routes thousands."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, list[Problem]]] = {}  # by id, with the object

    def of_route(self, route: PlannedRoute) -> list[Problem]:
        problems = list(of_path_match(route.path))
        for condition in route.conditions:
            problems += self.of_condition(condition)
        problems += self._once(route.action, _of_action)
        if route.policies is not None:
            problems += self._once(route.policies, of_policies)
        if route.errors is not None:
            problems += within("errors", of_statuses(route.errors.statuses))
        return problems

    def of_condition(self, condition: Condition) -> list[Problem]:
        return self._once(condition, of_condition)

    def _once(self, value: T, check: Callable[[T], Problems]) -> list[Problem]:
        seen = self._seen.get(id(value))
        if seen is None:
            seen = self._seen[id(value)] = (value, list(check(value)))
        return seen[1]


def _of_action(action: PlannedForward | Redirect | FixedResponse) -> Problems:
    if not isinstance(action, PlannedForward):
        return of_answer(action)
    return of_balance(action.balance) if action.balance is not None else iter(())
