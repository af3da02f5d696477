"""What else is known of an endpoint that is silent: by other services at the same address, and by other
workers."""

from typing import Final

from proxy.timers import TICK_S
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.board import Board, Told
from proxy.upstream.health.waiting import busy_at

SWEPT_S: Final = 60.0  # endpoints that have left are forgotten so often


class Corroboration:
    """One per worker; scheduled on its timer wheel."""

    __slots__ = ("_board", "_by_key", "_swept")

    def __init__(self, board: Board | None) -> None:
        """Without a board there is no other worker."""
        self._board = board
        self._by_key: dict[int, list[LiveEndpoint]] = {}
        self._swept = 0.0

    def know(self, endpoint: LiveEndpoint) -> None:
        """Remember an endpoint that gets a request."""
        same = self._by_key.setdefault(endpoint.observed().key, [])
        if endpoint not in same:
            same.append(endpoint)

    def ask(self, endpoint: LiveEndpoint, now: float) -> None:
        """Have the other workers tell what they know; to be called again for as long as that is of
        interest."""
        if self._board is not None:
            self._board.ask(endpoint.observed().key, now)

    def of(self, endpoint: LiveEndpoint, since: float, now: float) -> Told | None:
        """Return what is known besides; None while a worker has not told yet what it knows at `since`."""
        key = endpoint.observed().key
        told = self._board.told(key, since, now) if self._board is not None else Told()
        if told is not None:
            self._add(told, key, endpoint, now)
        return told

    def expire(self, now: float) -> float | None:
        """Called by the timer wheel: tell the other workers what they ask for."""
        board = self._board
        if board is not None:
            for key in board.wanted(now):
                ours = Told()
                self._add(ours, key, None, now)
                board.tell(key, ours.heard, ours.busy, now)
        if now - self._swept >= SWEPT_S:
            self._swept = now
            self._sweep(now)
        return now + TICK_S

    def _add(self, told: Told, key: int, but: LiveEndpoint | None, now: float) -> None:
        for endpoint in self._by_key.get(key, ()):
            if endpoint is not but:
                told.heard = max(told.heard, endpoint.heard)
                told.busy += busy_at(endpoint, now)

    def _sweep(self, now: float) -> None:
        known, self._by_key = self._by_key, {}
        for key, endpoints in known.items():
            left = [e for e in endpoints if e.state is not State.RETIRED or busy_at(e, now)]
            if left:
                self._by_key[key] = left
