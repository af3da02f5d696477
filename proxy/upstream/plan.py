"""The plan of a route, bound to live services: backend, cluster and endpoint of a request, and its rules."""

from typing import Final

import msgspec

from proxy.model.actions import Forward
from proxy.model.policies import Policies, RetryScope
from proxy.model.snapshot import Route
from proxy.policies.compiled import Compiled
from proxy.policies.limits import Limiters
from proxy.policies.route import RoutePolicies
from proxy.telemetry.counters import RouteCounters
from proxy.upstream.balancing.backends import Backends
from proxy.upstream.evidence.kinds import Kinds
from proxy.upstream.mirroring import Mirroring
from proxy.upstream.retries.rules import BY_DEFAULT, RETRY_STATUSES, RetryRules
from proxy.upstream.service import Services

_NONE = Policies()
_GATEWAYS: Final = -1


class RoutePlan(Backends):
    """A route's backends with their splits, for as long as the route stays as it is.

    The other members are None for most routes.
    """

    __slots__ = (
        "counters", "error_backends", "error_statuses", "kinds", "log", "max_body_bytes", "mirroring",
        "policies", "response_timeout_s", "retry", "watched",
    )  # fmt: skip

    def __init__(
        self, route: Route, services: Services, counters: RouteCounters, limiters: Limiters,
        compiled: Compiled | None = None,
    ) -> None:  # fmt: skip
        """`compiled` has the policies that routes share. Raises PolicyError, PatternError."""
        action = route.action if isinstance(route.action, Forward) else None
        config = route.policies or _NONE
        scope = config.retry.scope if config.retry is not None else RetryScope.ANY
        super().__init__(action, services, scope)
        self.counters = counters
        self.kinds = Kinds(route.id, services.histories)
        ingress = f"{route.source.namespace}/{route.source.name}"
        self.log = b'"route":%b,"ingress":%b' % (msgspec.json.encode(route.id), msgspec.json.encode(ingress))
        self.policies: RoutePolicies | None = None
        if config != Policies(max_body_bytes=config.max_body_bytes) or action is None:
            self.policies = RoutePolicies(route, limiters, compiled)
        mirror, errors = config.mirror, config.errors
        self.mirroring: Mirroring | None = (
            Mirroring(route.id, mirror, services) if mirror is not None else None
        )
        self.error_backends: Backends | None = None
        self.error_statuses: frozenset[int] = frozenset()
        if errors is not None:
            self.error_backends = Backends(Forward((errors.backend,), errors.split), services, scope)
            self.error_statuses = frozenset(errors.statuses)
        self.retry = RetryRules(config.retry) if config.retry is not None else BY_DEFAULT
        self.response_timeout_s = config.response_timeout_s
        self.max_body_bytes: int = _GATEWAYS if config.max_body_bytes is None else config.max_body_bytes
        # Statuses of endpoints that are not simply passed on
        self.watched = RETRY_STATUSES | self.retry.statuses | self.error_statuses

    def body_limit(self, of_gateway: int) -> int:
        """Return how many bytes the body of a request may have; 0: any number."""
        return of_gateway if self.max_body_bytes == _GATEWAYS else self.max_body_bytes

    def allows_more_than(self, of_gateway: int) -> bool:
        """Say whether bodies may be larger here than those of other routes."""
        limit = self.body_limit(of_gateway)
        return limit > of_gateway > 0 or limit == 0 < of_gateway
