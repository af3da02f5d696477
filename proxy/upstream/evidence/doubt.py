"""What wrong verdicts teach: a service whose endpoints answered what was tried elsewhere is judged later."""

from math import inf

from proxy.upstream.evidence.silence import FALSE_S, UNANSWERED_S, UNREACHABLE_S


class Doubt:
    """Of one service. Times are monotonic seconds."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = -inf

    def was_wrong(self, now: float) -> None:
        """An endpoint has answered what was taken away from it."""
        self._until = now + FALSE_S

    def unanswered_s(self, now: float) -> float:
        """Return how long a probe must have been unanswered before anything that was sent is tried
        elsewhere."""
        return UNREACHABLE_S if now < self._until else UNANSWERED_S
