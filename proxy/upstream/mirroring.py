"""Which requests of a route are copied to a mirror, and how many copies may be under way."""

from typing import Final

from proxy.model.actions import Forward
from proxy.model.policies import Mirror
from proxy.upstream.balancing.backends import Backends
from proxy.upstream.service import Services

MAX_IN_FLIGHT: Final = 128  # copies per route and worker; further requests are not copied


class Mirroring:
    """A Mirror bound to live services. Of N percent, exactly N of each hundred requests are copied."""

    __slots__ = ("_credit", "_percent", "backends", "in_flight", "route")

    def __init__(self, route: str, config: Mirror, services: Services) -> None:
        self.route = route
        self.backends = Backends(Forward(config.backends, config.split), services)
        self.in_flight = 0
        self._percent = min(config.percent, 100)
        self._credit = 0

    def is_due(self) -> bool:
        """Count a request; return whether it is to be copied."""
        self._credit += self._percent
        if self._credit < 100:
            return False
        self._credit -= 100
        return True
