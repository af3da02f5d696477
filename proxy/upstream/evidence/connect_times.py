"""How long connects take, and so the delay before a hedged connect starts beside an unanswered one."""

from typing import Final

LEAST_DELAY_S: Final = 0.01
FIRST_DELAY_S: Final = 0.1  # while nothing is known of a cluster
MOST_DELAY_S: Final = 0.25  # RFC 8305 §8: the delay it recommends where nothing is learned


class ConnectTimes:
    """How long connects to one service in one cluster take, and so the delay before a hedged connect."""

    __slots__ = ("_deviation_s", "_mean_s", "hedge_s", "least_s")

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._deviation_s = 0.0
        self.least_s = 0.0  # time of the fastest connect: a round trip; 0 where none is known
        self.hedge_s = FIRST_DELAY_S

    @property
    def are_short(self) -> bool:
        """Whether a connect that takes longer than `hedge_s` is out of the ordinary."""
        return self._mean_s > 0.0 and self.hedge_s < MOST_DELAY_S

    def learn(self, seconds: float) -> None:
        """Take in how long a connect took, as TCP does with round trips (RFC 6298 §2)."""
        self.least_s = min(seconds, self.least_s or seconds)
        if self._mean_s:
            self._deviation_s += (abs(seconds - self._mean_s) - self._deviation_s) / 4.0
            self._mean_s += (seconds - self._mean_s) / 8.0
        else:
            self._mean_s = seconds
            self._deviation_s = seconds / 2.0
        # Half as much again as the mean: where times hardly differ, a bit more is no sign of a fault
        delay = 1.5 * self._mean_s + 4.0 * self._deviation_s
        self.hedge_s = min(max(delay, LEAST_DELAY_S), MOST_DELAY_S)
