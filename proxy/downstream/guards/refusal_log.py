"""Access log lines of refused clients: one for many, because they come by the thousand."""

from typing import Final

import msgspec

from proxy.dataplane import DataPlane
from proxy.downstream.guards.admission import OVERLOAD, WAITED, Admission
from proxy.timers import TICK_S

FLAGS: Final = {OVERLOAD: "OM", WAITED: "OM"}
"""Flags of the log line by cause. All other causes are limits of connections: OC."""


class RefusalLog:
    """The refusal log of a worker. Ten times a second it writes a line for each listener and cause."""

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
        """The timer wheel calls `expire`."""
        if self._admission.refused:
            refused, self._admission.refused = self._admission.refused, {}
            for (listener, cause), count in refused.items():
                self._write(listener, cause, count)
        return now  # at the next tick

    def _write(self, listener: str, cause: str, count: int) -> None:
        plane = self._plane
        if plane.log is not None:
            plane.log.request(
                client=b'"client":"","listener":%b' % msgspec.json.encode(listener),
                status=503,
                flag=FLAGS.get(cause, "OC"),
                failed=b'"cause":"%b","refused":%d,' % (cause.encode(), count),
                snapshot=plane.version,
            )
