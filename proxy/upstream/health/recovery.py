"""Asks clusters that do not take their whole share yet, ten times a second, whether it is time to go on."""

from typing import TYPE_CHECKING

from proxy.model.channel import BreakerStats
from proxy.timers import TICK_S
from proxy.upstream.health.breaker import Phase

if TYPE_CHECKING:
    from proxy.upstream.group import ClusterGroup


class Recovery:
    """One per worker; scheduled on its timer wheel."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: list[ClusterGroup] = []

    def add(self, group: "ClusterGroup") -> None:
        if group not in self._groups:
            self._groups.append(group)

    def stats(self) -> list[BreakerStats]:
        """Return the breakers that are not closed."""
        return [group.stats() for group in self._groups if group.breaker.phase is not Phase.CLOSED]

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel."""
        if self._groups:
            self._groups = [group for group in self._groups if group.recover()]
        return now + TICK_S
