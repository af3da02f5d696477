"""A clock of the data plane that stands still until a test moves it."""

from proxy.clock import Clock


class StillClock(Clock):
    def __init__(self, time: float = 1000.0) -> None:
        self.time = time

    def now(self) -> float:
        return self.time
