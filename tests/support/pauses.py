"""Whether the machine let this process run while a test was on.

Endpoints of tests live in the process of the tests. When that is not run for a tenth of a second, they
answer nothing, which is what the product takes for a stall, and rightly: it moves requests elsewhere, and
a test that counts them sees other numbers. Such a test has said nothing about the product.
"""

import sys
import threading
from time import monotonic, sleep
from typing import Final

LONG_S: Final = 0.05  # half of what can pass for a stall: the worker may have been kept waiting as well
_BEAT_S: Final = 0.005


class Heartbeat(threading.Thread):
    """Notes the longest time by which it woke up late."""

    def __init__(self) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.longest_s = 0.0

    def run(self) -> None:
        before = monotonic()
        while True:
            sleep(_BEAT_S)
            now = monotonic()
            self.longest_s = max(self.longest_s, now - before - _BEAT_S)
            before = now

    def forget(self) -> None:
        self.longest_s = 0.0

    def has_paused(self) -> bool:
        """Whether the process was kept from running since `forget`."""
        return self.longest_s >= LONG_S


def stand_still(for_s: float) -> None:
    """Keep every other thread of this process from running for `for_s` seconds, as the machine might."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(for_s)
    end = monotonic() + 2 * for_s
    try:
        while monotonic() < end:  # somebody else asks for the interpreter in the first half, and waits
            continue
    finally:
        sys.setswitchinterval(usual_s)
