"""Asks clusters that do not take their whole share yet, ten times a second, whether more of it comes back."""

from abc import ABC, abstractmethod

from proxy.model.statistics import BreakerStats
from proxy.timers import TICK_S


class Recovering(ABC):
    """A cluster on its way back."""

    __slots__ = ()

    @abstractmethod
    def recover(self) -> bool:
        """Go on if it is time; return whether the cluster has to be asked again."""

    @abstractmethod
    def open_breaker(self) -> BreakerStats | None:
        """Return the state of the breaker, None when it is closed."""


class Recovery:
    """Asks the clusters of a worker. One per worker; scheduled on its timer wheel."""

    __slots__ = ("_clusters",)

    def __init__(self) -> None:
        self._clusters: list[Recovering] = []

    def add(self, cluster: Recovering) -> None:
        if cluster not in self._clusters:
            self._clusters.append(cluster)

    def stats(self) -> list[BreakerStats]:
        """Return the breakers that are not closed."""
        found = [cluster.open_breaker() for cluster in self._clusters]
        return [stats for stats in found if stats is not None]

    def expire(self, now: float) -> float | None:
        """The timer wheel calls `expire`."""
        if self._clusters:
            self._clusters = [cluster for cluster in self._clusters if cluster.recover()]
        return now + TICK_S
