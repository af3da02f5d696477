"""File descriptors: how many there are, and when to stop taking new clients so that some are left.

What waits for a descriptor in the kernel's queue costs nothing; a worker without one can neither
reach endpoints nor take a connection out of that queue, and would be woken for it again and again.
"""

import resource
from typing import Final

RESERVE_SHARE: Final = 10  # one in ten is kept for connections to endpoints, logs and the control channel
MIN_RESERVE: Final = 64
_HYSTERESIS_SHARE: Final = 10


class DescriptorBudget:
    """Accepting pauses at `full` connections, to clients and endpoints together, and goes on at `relaxed`."""

    __slots__ = ("full", "relaxed")

    def __init__(self, limit: int) -> None:
        self.full = max(limit - max(limit // RESERVE_SHARE, MIN_RESERVE), 1)
        self.relaxed = self.full - max(self.full // _HYSTERESIS_SHARE, 1)


def raised_limit() -> int:
    """Raise the soft limit of descriptors to the hard one; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
