"""Redirects to https where no request comes by https: clients would be redirected for ever."""

from collections.abc import Iterable

from controlplane.translate.live import Outcome
from controlplane.translate.plan import PlannedRoute
from proxy.model.actions import Redirect


def report_endless(outcomes: Iterable[Outcome], trusted_proxies: tuple[str, ...]) -> None:
    """Report redirects that lead back to themselves.

    Without an HTTPS listener only a trusted proxy can say that a request came by https.
    """
    for outcome in outcomes:
        plan = outcome.plan
        if plan is None or not outcome.routes:
            continue
        has_listener = outcome.gateway is not None and bool(outcome.gateway.tls_ports)
        if plan.to_https and not trusted_proxies and not has_listener:
            outcome.findings.add("FG0230", plan.to_https, "true")
        for route in plan.routes:
            if _leads_to_itself(route):
                outcome.findings.add("FG0231", route.field, route.host)


def _leads_to_itself(route: PlannedRoute) -> bool:
    action = route.action
    if not isinstance(action, Redirect) or action.location:
        return False
    parts = (action.protocol, action.host, action.port, action.path, action.query)
    return parts == ("https", "${host}", "443", "${path}", "${query}") or parts == (
        "https", "${host}", "${port}", "${path}", "${query}",
    )  # fmt: skip
