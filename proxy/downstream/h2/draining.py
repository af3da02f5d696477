"""The end of a connection that fails no request: two GOAWAYs (RFC 9113 §6.8)."""

from math import inf
from random import uniform
from typing import Final

from proxy.http2.errors import NO_ERROR
from proxy.http2.frames import MOST_WINDOW, goaway_frame

DRAIN_S: Final = 1.0
"""Time for requests that were sent before the client read the first GOAWAY."""
_AGE_JITTER: Final = 0.1

_SERVING, _ANNOUNCED, _CLOSED = range(3)
"""States: new streams are welcome; the client knows of the end; streams beyond the last are ignored."""


class Draining:
    """The state of one connection, which drains at the latest when it has reached its age."""

    __slots__ = ("_age_limit", "_closes_at", "_state")

    def __init__(self, now: float, most_age_s: float) -> None:
        """`most_age_s`: give or take a tenth, so that connections do not end all at once; 0: no limit."""
        self._state = _SERVING
        self._closes_at = 0.0
        age_s = most_age_s * uniform(1.0 - _AGE_JITTER, 1.0 + _AGE_JITTER)
        self._age_limit = now + age_s if age_s else inf

    @property
    def is_closed(self) -> bool:
        """Whether new streams are ignored: the client sends them again over another connection."""
        return self._state == _CLOSED

    def is_old(self, now: float) -> bool:
        return now >= self._age_limit

    def begin(self, now: float) -> bytes:
        """Begin to drain; return the first GOAWAY, b"" where it was sent before."""
        if self._state != _SERVING:
            return b""
        self._state = _ANNOUNCED
        self._closes_at = now + DRAIN_S
        return goaway_frame(MOST_WINDOW, NO_ERROR, "")

    def close(self, now: float, last_stream: int) -> bytes:
        """Return the second GOAWAY, b"" where it is not due."""
        if self._state != _ANNOUNCED or now < self._closes_at:
            return b""
        self._state = _CLOSED
        return goaway_frame(last_stream, NO_ERROR, "")
