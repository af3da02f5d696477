"""The budgets of one Ingress: an Ingress over any budget is refused as a whole."""

from collections.abc import Sequence
from itertools import islice

from controlplane.translate.budgets.sizes import ROUTE_BYTES, Sizes
from controlplane.translate.budgets.work import positive_work
from controlplane.translate.diagnostics import Findings
from controlplane.translate.plan import PlannedRoute
from proxy.model.limits import Limits
from proxy.model.policies import Policies


def most_routes(limits: Limits) -> int:
    """Return how many rules can be within the budget of bytes: more need not be looked at."""
    return limits.max_ingress_bytes // ROUTE_BYTES


def check_budgets(
    routes: Sequence[PlannedRoute], limits: Limits, findings: Findings
) -> dict[str, int] | None:
    """Return the work of patterns by host, where there is any; None, with findings, beyond a budget."""
    sizes, changes, work = (
        _bytes(routes, limits),
        _changes(routes),
        positive_work(routes, limits.max_ingress_pattern_work),
    )
    host, steps = max(work.items(), key=lambda item: item[1], default=("", 0))
    over = [
        ("max-ingress-bytes", sizes, limits.max_ingress_bytes, "bytes of rules"),
        ("max-header-changes", changes, limits.max_header_changes, "changes of headers by one rule"),
        (
            "max-ingress-pattern-work", steps, limits.max_ingress_pattern_work,
            f"steps per octet of a request to {host or 'any host'}",
        ),
    ]  # fmt: skip
    exceeded = [each for each in over if each[1] > each[2]]
    for budget, value, most, what in exceeded:
        findings.add("FG0721", "spec.rules", value, budget=budget, found=value, most=most, what=what)
    return work if not exceeded else None


def _bytes(routes: Sequence[PlannedRoute], limits: Limits) -> int:
    return Sizes().of_routes(islice(routes, most_routes(limits) + 1))


def _changes(routes: Sequence[PlannedRoute]) -> int:
    """Return the most changes of headers by one rule. Rules share their policies, so few are looked at."""
    different = {id(route.policies): route.policies for route in routes if route.policies is not None}
    return max(map(_changes_of, different.values()), default=0)


def _changes_of(policies: Policies) -> int:
    rules = sum(len(rule.changes) for rule in policies.response_rules)
    return len(policies.request_headers) + len(policies.response_headers) + rules
