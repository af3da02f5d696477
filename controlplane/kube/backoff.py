"""Delays between attempts, and a limit on their rate: they spare an ailing API server a storm of requests."""

from dataclasses import dataclass, field

import msgspec

from controlplane.kube.clock import SYSTEM_CLOCK, Clock


class BackoffSettings(msgspec.Struct, frozen=True):
    """Seconds. The defaults are client-go's: forgotten after 2 min without a failure."""

    first: float = 0.8
    factor: float = 2.0
    cap: float = 30.0
    jitter: float = 1.0
    forget: float = 120.0


REFLECTOR = BackoffSettings()
KNOCK = BackoffSettings(jitter=0.5)
"""Delays for a server that does not answer at all: at most two connects a minute, back within 45 s."""


class Backoff(msgspec.Struct):
    """The delay before the next attempt, growing with failures that follow each other."""

    settings: BackoffSettings = REFLECTOR
    clock: Clock = SYSTEM_CLOCK
    _delay: float = 0.0
    _failed_at: float = 0.0

    def next(self) -> float:
        """Return the seconds to wait after a failure that happened now."""
        settings, now = self.settings, self.clock.monotonic()
        # The wait itself is no health: only the time after it counts.
        calm = now - self._failed_at > settings.forget + self._delay * (1 + settings.jitter)
        if self._delay == 0.0 or calm:
            self._delay = settings.first
        else:
            self._delay = min(self._delay * settings.factor, settings.cap)
        self._failed_at = now
        return self._delay * (1 + settings.jitter * self.clock.random())

    def forget(self) -> None:
        """Begin with the first delay again, after the work has gone well for a while."""
        self._delay = 0.0


@dataclass(slots=True)
class RateLimit:
    """A token bucket: `rate` per second on average, `burst` at once. Waits in order of arrival."""

    rate: float
    burst: int
    clock: Clock = SYSTEM_CLOCK
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = float(self.burst)
        self._at = self.clock.monotonic()

    async def take(self) -> None:
        """Return when the caller may go on."""
        if not self._reserve():
            await self.clock.sleep(-self._tokens / self.rate)

    def _reserve(self) -> bool:
        now = self.clock.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate) - 1.0
        self._at = now
        return self._tokens >= 0.0
