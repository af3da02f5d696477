"""Says in the access log what was refused at the door, in one line for many: they come by the thousand."""

from typing import Final

import msgspec

from proxy.dataplane import DataPlane
from proxy.downstream.admission import WAITED, Admission
from proxy.downstream.overload import OVERLOAD
from proxy.telemetry.access_log import NO_ENDPOINT, NO_HEADERS, NO_RESOURCE, NO_ROUTE
from proxy.timers import TICK_S

FLAGS: Final = {OVERLOAD: "OM", WAITED: "OM"}
"""By cause; others are connections beyond a limit."""


class RefusalLog:
    """One per worker. Ten times a second it writes a line for each listener and cause that there was."""

    __slots__ = ("_admission", "_is_started", "_plane")

    def __init__(self, plane: DataPlane, admission: Admission) -> None:
        self._plane = plane
        self._admission = admission
        self._is_started = False

    def start(self) -> None:
        if not self._is_started:
            self._is_started = True
            self._plane.wheel.schedule(self, self._plane.wheel.now + TICK_S)

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel."""
        if self._admission.refused:
            refused, self._admission.refused = self._admission.refused, {}
            for (listener, cause), count in refused.items():
                self._write(listener, cause, count)
        return now  # at the next tick

    def _write(self, listener: str, cause: str, count: int) -> None:
        plane = self._plane
        if plane.log is not None:
            plane.log.request(
                NO_RESOURCE, 1, NO_HEADERS, 503, FLAGS.get(cause, "OC"), 0, 0, 0, b"",
                b'"client":"","listener":%b' % msgspec.json.encode(listener), NO_ROUTE, NO_ENDPOINT, 0,
                b'"cause":"%b","refused":%d,' % (cause.encode(), count), plane.version,
            )  # fmt: skip
