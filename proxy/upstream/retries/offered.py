"""Notes, while nothing fails, how much services are asked: a part of it is what failures may cost later."""

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Final

from proxy.timers import TICK_S

if TYPE_CHECKING:
    from proxy.upstream.service import LiveService

ROUND_S: Final = 5.0  # in which each of many services has its turn: half the window of a budget


class Offered:
    """One per worker; scheduled on its timer wheel. A tick takes some of the services: all are a pause."""

    __slots__ = ("_left", "_part", "_services")

    def __init__(self, services: Mapping[str, "LiveService"]) -> None:
        self._services = services
        self._left: list[LiveService] = []
        self._part = 0

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel."""
        if not self._left:
            self._left = list(self._services.values())
            self._part = ceil(len(self._left) * TICK_S / ROUND_S)
        for service in self._left[-self._part :]:
            for group in service.groups.values():
                group.room.retries.refresh(group.all(), now)
        del self._left[-self._part :]
        return now + TICK_S
