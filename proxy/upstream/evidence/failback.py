"""Failback: when clusters that have failed get their share of an Ingress back.

The absence of a cluster is known for each service. An Ingress adds a delay and a ramp, or a hold until an
operator lets the cluster back. The other workers learn which clusters are held out, and later workers, too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Final

from proxy.model.actions import Failback
from proxy.model.channel import Hold
from proxy.model.statistics import FailbackStats

STEPS: Final = 8  # steps in which a part grows
LET_BACK_RAMP_S: Final = 8.0  # ramp of a cluster that was held out: it may have served nothing for days

Meant = dict[str, dict[str, Failback]]
"""Failbacks that the routes ask for, by service and Ingress."""

_NOTHING: Final[Mapping[str, float]] = {}


class Failbacks:
    """The failbacks that a worker knows. One per worker."""

    __slots__ = ("_held", "_meant", "_news", "on_news")

    def __init__(self) -> None:
        self._meant: Meant = {}
        self._held: dict[Hold, float] = {}  # with the time when it was let back, monotonic; inf: it was not
        self._news: list[Hold] = []
        self.on_news: Callable[[], None] | None = None  # called when `take` has news

    def want(self, meant: Meant) -> dict[str, set[str]]:
        """Take over the failbacks that the routes ask for.

        Return the services for which it has changed, each with the Ingresses that are newly `manual`.
        """
        before, self._meant = self._meant, meant
        self._held = {hold: at for hold, at in self._held.items() if self._is_manual(hold)}
        return {
            service: _manual(meant.get(service, {})) - _manual(before.get(service, {}))
            for service in before.keys() | meant.keys()
            if before.get(service) != meant.get(service)
        }

    def left(self, service: str, cluster: str) -> None:
        """A cluster has ceased to serve."""
        if service in self._meant:
            for ingress in _manual(self._meant[service]):
                self.note(Hold(ingress, service, cluster))

    def note(self, hold: Hold) -> None:
        """Hold a cluster out that has failed for this worker."""
        if self._held.get(hold) != inf:
            self._held[hold] = inf
            self._news.append(hold)
            if self.on_news is not None:
                self.on_news()

    def hold(self, holds: Iterable[Hold]) -> None:
        """Hold clusters out that have failed for other workers."""
        for hold in holds:
            self._held[hold] = inf

    def let_back(self, holds: Iterable[Hold], now: float) -> None:
        for hold in holds:
            if self._held.get(hold) == inf:
                self._held[hold] = now

    def take(self) -> tuple[Hold, ...]:
        """Return the holds that other workers do not know of yet."""
        news, self._news = self._news, []
        return tuple(news)

    def parts(self, service: str, cluster: str, back: float, now: float) -> Mapping[str, float]:
        """Return the part, 0 to 1, of its share of each Ingress that a cluster takes `now`.

        `back` is when it began to serve again, monotonic. Ingresses of which it takes all are left out.
        """
        meant = self._meant.get(service)
        if meant is None:
            return _NOTHING
        parts = {
            ingress: _part(*self._times(Hold(ingress, service, cluster), failback, back), now)
            for ingress, failback in meant.items()
        }
        return {ingress: part for ingress, part in parts.items() if part < 1.0}

    def moves(self, service: str, cluster: str, parts: Mapping[str, float]) -> bool:
        """Whether any of the parts grows by itself."""
        return any(self._held.get(Hold(ingress, service, cluster)) != inf for ingress in parts)

    def stats(self, service: str, cluster: str, back: float, now: float) -> Iterator[FailbackStats]:
        for ingress, failback in self._meant.get(service, {}).items():
            hold = Hold(ingress, service, cluster)
            since, delay_s, ramp_s = self._times(hold, failback, back)
            part = _part(since, delay_s, ramp_s, now)
            if since == inf:  # held, or away
                if failback.manual:
                    yield FailbackStats(ingress, service, cluster, "held", 0.0, 0.0)
            elif now < since + delay_s:
                yield FailbackStats(ingress, service, cluster, "delayed", 0.0, since + delay_s - now)
            elif part < 1.0:
                left_s = since + delay_s + ramp_s - now
                yield FailbackStats(ingress, service, cluster, "ramping", part, left_s)

    def services(self) -> list[str]:
        """Return the services that a failback is about."""
        return [*self._meant]

    def _times(self, hold: Hold, failback: Failback, back: float) -> tuple[float, float, float]:
        """Return when the way back begins (monotonic), and its delay and ramp in seconds."""
        if failback.manual:
            return self._held.get(hold, -inf), 0.0, LET_BACK_RAMP_S
        return back, failback.delay_s, failback.ramp_s

    def _is_manual(self, hold: Hold) -> bool:
        failback = self._meant.get(hold.service, {}).get(hold.ingress)
        return failback is not None and failback.manual


def _part(since: float, delay_s: float, ramp_s: float, now: float) -> float:
    """Return the part of its share that a cluster takes `now`, 0 to 1, in eighths."""
    gone_s = now - since - delay_s
    if gone_s < 0.0:
        return 0.0
    return 1.0 if gone_s >= ramp_s else (int(gone_s / ramp_s * STEPS) + 1) / STEPS


def _manual(meant: Mapping[str, Failback]) -> set[str]:
    return {ingress for ingress, failback in meant.items() if failback.manual}
