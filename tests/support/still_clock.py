"""A clock of the data plane that stands still until a test moves it."""

from proxy.clock import Clock


class StillClock(Clock):
    def __init__(self, time: float = 1000.0) -> None:
        super().__init__(lambda: self.time)
        self.time = time
