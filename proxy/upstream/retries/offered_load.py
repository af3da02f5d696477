"""Notes, while nothing fails, how much load services are offered: failures may cost a part of it later."""

from math import ceil
from typing import Final

from proxy.timers import TICK_S
from proxy.upstream.service import LiveService, Services

ROUND_S: Final = 5.0  # time in which each of many services has its turn: half the window of a budget


class OfferedLoad:
    """Notes the load of a worker, on its timer wheel. A tick takes some of the services: all are a pause."""

    __slots__ = ("_left", "_part", "_services")

    def __init__(self, services: Services) -> None:
        self._services = services
        self._left: list[LiveService] = []
        self._part = 0

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        if not self._left:
            self._left = self._services.all()
            self._part = ceil(len(self._left) * TICK_S / ROUND_S)
        for service in self._left[-self._part :]:
            for cluster in service.clusters.values():
                cluster.retries.refresh(cluster.requests(), now)
        del self._left[-self._part :]
        return now + TICK_S
