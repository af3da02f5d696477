"""The lesson of false alarms: a service whose endpoints answered requests that had moved is judged later."""

from math import inf

from proxy.upstream.evidence.silence import FALSE_S, UNANSWERED_S, UNREACHABLE_S


class Doubt:
    """Doubt in the stalls of one service. Times are monotonic seconds."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = -inf

    def was_wrong(self, now: float) -> None:
        """An endpoint has answered a request that was tried elsewhere."""
        self._until = now + FALSE_S

    def unanswered_s(self, now: float) -> float:
        """Return how long a probe must be unanswered before requests that were sent are tried elsewhere."""
        return UNREACHABLE_S if now < self._until else UNANSWERED_S
