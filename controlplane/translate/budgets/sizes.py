"""How many bytes the rules of an Ingress take in a snapshot. An estimate: not each rule is written out."""

from collections.abc import Iterable
from typing import Final

import msgspec

from controlplane.translate.plan import PlannedForward, PlannedRoute
from proxy.model.actions import FixedResponse, Redirect
from proxy.model.conditions import Condition
from proxy.model.policies import Policies

ROUTE_BYTES: Final = 600
"""The size of a rule without conditions and policies, with the shares of four clusters."""

_encoder = msgspec.json.Encoder()


class Sizes:
    """Measures values that rules share only once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, int]] = {}  # by id, with the object

    def of_routes(self, routes: Iterable[PlannedRoute]) -> int:
        return sum(self._of_route(route) for route in routes)

    def _of_route(self, route: PlannedRoute) -> int:
        total = ROUTE_BYTES + len(route.host) + len(route.path.value)
        total += sum(map(self._of, route.conditions))
        if route.policies is not None:
            total += self._of(route.policies)
        if not isinstance(route.action, PlannedForward):
            total += self._of(route.action)
        return total

    def _of(self, value: Condition | Policies | Redirect | FixedResponse) -> int:
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = (value, len(_encoder.encode(value)))
        return known[1]
