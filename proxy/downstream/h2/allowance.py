"""A bounded number of events that cost us more than the client, of which honest clients make few."""


class Allowance:
    """A token bucket, kept as the time at which it will be full again."""

    __slots__ = ("_depth_s", "_full_at", "_interval_s")

    def __init__(self, burst: int, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._depth_s = burst * self._interval_s
        self._full_at = 0.0

    def take(self, now: float) -> bool:
        """Count an event at `now` (monotonic); return whether it is one of those that are allowed."""
        full_at = max(self._full_at, now) + self._interval_s
        if full_at - now > self._depth_s:
            return False
        self._full_at = full_at
        return True
