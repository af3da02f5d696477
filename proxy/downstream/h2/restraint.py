"""Bounds of work that costs the client little and us more, for each connection."""

from typing import Final

from proxy.downstream.h2.allowance import Allowance
from proxy.http2.errors import ENHANCE_YOUR_CALM, Http2Error
from proxy.model.limits import Limits

_OUT_OF_NOTHING: Final = 200  # streams that come to nothing at once
_CONTROL_FRAMES: Final = 500  # frames at once that move no request on


class Restraint:
    """The patience with one connection. Raises Http2Error when it is over."""

    __slots__ = ("_frames", "_streams")

    def __init__(self, limits: Limits) -> None:
        self._streams = Allowance(_OUT_OF_NOTHING, limits.http2_reset_rate)
        self._frames = Allowance(_CONTROL_FRAMES, limits.http2_control_frame_rate)

    def on_frame(self, now: float) -> None:
        """Count a frame that moves no request on."""
        if not self._frames.take(now):
            raise Http2Error(ENHANCE_YOUR_CALM, "too many frames that carry nothing")

    def on_lost_stream(self, now: float) -> None:
        """Count a stream that came to nothing, whoever ended it (CVE-2023-44487, CVE-2025-8671)."""
        if not self._streams.take(now):
            raise Http2Error(ENHANCE_YOUR_CALM, "too many streams that came to nothing")
