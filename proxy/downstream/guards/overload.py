"""Overload: the worker refuses clients that have waited too long for it, as cheaply as possible.

Clients wait in two places: connections in the kernel's queue, requests in the buffers of their sockets. The
guard measures both waits ten times a second. The first is the length of the queue at the rate at which
connections are taken, the second the age of the data, which the kernel knows. Waits that stay above the limit
mean overload; a burst, or one long turn of the event loop, does not.

To accept, answer and close costs a third of an expensive request and more than a cheap one: refusals alone
would eat up the capacity that they are to save. Hence the kernel holds most of the excess off, at no cost:
its queue is kept as short as can be served in half the limit. Refusals of connections in the queue take a
bounded share of the time.
"""

import asyncio
import logging
from typing import Final

from proxy.dataplane import DataPlane
from proxy.downstream.guards.accept_queue import refuse
from proxy.downstream.guards.admission import OVERLOAD, Admission
from proxy.downstream.guards.listeners import GuardedListener, GuardedListeners
from proxy.downstream.guards.sojourn import Sojourn, waited_s
from proxy.http.replies import refusal

log = logging.getLogger(__name__)

DETAIL: Final = "The gateway is overloaded."
STEP_S: Final = 0.01  # time between two rounds of refusals
REFUSING_SHARE: Final = 0.05  # share of the time: at 50 µs for each, a thousand a second
MAX_RETRY_AFTER_S: Final = 3
QUEUED_SHARE: Final = 0.5  # share of the limit that connections may wait in the kernel's queue
AT_ONCE: Final = 256  # open connections up to which all that wait are accepted; uvloop takes one per turn
MIN_CROWD: Final = 512  # open connections: fewer can make a worker busy and slow, but wait for one another
LOG_S: Final = 60.0


class OverloadGuard:
    """The guard of a worker. The timer wheel calls `expire`, requests ask `is_stale` while `is_watching`."""

    __slots__ = (
        "_admission", "_answers", "_is_scheduled", "_left_s", "_listeners", "_logged", "_plane", "_refused",
        "_sojourn", "_stepped", "_ticked", "is_watching",
    )  # fmt: skip

    def __init__(self, plane: DataPlane, admission: Admission, listeners: GuardedListeners) -> None:
        self._plane = plane
        self._admission = admission
        self._listeners = listeners
        self._sojourn = Sojourn()
        self.is_watching = False  # the wait of the next request is to be measured
        self._is_scheduled = False
        self._ticked = 0.0
        self._stepped = 0.0
        self._left_s = 0.0  # time that refusals may still take
        self._refused = 0
        self._answers: tuple[tuple[bytes, ...], ...] = ()
        self._logged = -LOG_S

    def configure(self) -> None:
        """Take over the limit of a new snapshot."""
        if self._plane.config.limits.max_wait_s and not self._is_scheduled:
            self._is_scheduled = True
            self._ticked = self._plane.wheel.now
            self._plane.wheel.schedule(self, self._ticked)

    # Requests

    def is_stale(self, transport: asyncio.Transport, opened: float) -> bool:
        """Whether the request that was just read has waited too long to be served.

        `opened` is when its connection was accepted (monotonic): the wait before that does not count again.
        """
        sojourn = self._sojourn
        if self._admission.open <= MIN_CROWD:
            self.is_watching = False
            return False
        wait = min(waited_s(transport.get_extra_info("socket")), self._plane.wheel.now - opened)
        sojourn.note(wait)
        self.is_watching = sojourn.is_overloaded
        return sojourn.is_overloaded and wait > self._plane.config.limits.max_wait_s > 0

    def answer(self, *, close: bool) -> bytes:
        """Return the next 503, its Retry-After another one: clients must not all come back in one second."""
        self._refused += 1
        return self._answers[close][self._refused % MAX_RETRY_AFTER_S]

    # Connections

    def expire(self, now: float) -> float | None:
        limit_s = self._plane.config.limits.max_wait_s
        elapsed, self._ticked = now - self._ticked, now
        if not limit_s:
            self._end()
            return None
        was_overloaded = self._sojourn.is_overloaded
        for listener in self._listeners:
            if listener.queue is not None:
                self._sojourn.note(listener.queue.measure(listener.accepted, elapsed))
                if not was_overloaded:
                    listener.take(AT_ONCE - self._admission.open)
        self._sojourn.judge(limit_s)
        self.is_watching = True
        if self._sojourn.is_overloaded:
            self._prepare()
            if not was_overloaded:
                self._begin(now)
            for listener in self._listeners:
                if listener.queue is not None:
                    listener.queue.shorten(limit_s * QUEUED_SHARE)
        elif was_overloaded:
            self._open_up()
        return now  # at the next tick

    def _begin(self, now: float) -> None:
        if now - self._logged >= LOG_S:
            self._logged = now
            log.warning(
                "overload: clients wait over %g s, the excess is refused",
                self._plane.config.limits.max_wait_s,
            )
        self._stepped = self._plane.clock.now()
        self._left_s = 0.0
        asyncio.get_running_loop().call_later(STEP_S, self._step)

    def _end(self) -> None:
        self._is_scheduled = self.is_watching = False
        self._sojourn = Sojourn()
        self._open_up()

    def _open_up(self) -> None:
        for listener in self._listeners:
            if listener.queue is not None:
                listener.queue.open_up()

    def _prepare(self) -> None:
        date = self._plane.wheel.date
        self._answers = tuple(
            tuple(_wire(date, 1 + number, keep=not close) for number in range(MAX_RETRY_AFTER_S))
            for close in (False, True)
        )

    def _step(self) -> None:
        """Refuse connections for a share of the time since the last step."""
        if not self._sojourn.is_overloaded:
            return
        now = self._plane.clock.now()
        self._left_s = min(self._left_s, 0.0) + REFUSING_SHARE * (now - self._stepped)
        self._stepped = now
        for listener in self._listeners:
            self._refuse(listener, now)
        asyncio.get_running_loop().call_later(STEP_S, self._step)

    def _refuse(self, listener: GuardedListener, now: float) -> None:
        queue = listener.queue
        while queue is not None and self._left_s > 0 and queue.is_full:
            client = queue.accept()
            if client is None:
                return
            refuse(client, self.answer(close=True))
            listener.count_shed(OVERLOAD)
            now, before = self._plane.clock.now(), now
            self._left_s -= now - before


def _wire(date: bytes, retry_after_s: int, *, keep: bool) -> bytes:
    head, body = refusal(503, b"", DETAIL, retry_after_s=retry_after_s)
    return head.text(1, date, keep=keep) + body
