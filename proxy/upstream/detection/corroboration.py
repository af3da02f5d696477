"""Knowledge about a silent endpoint: of other services at its address, and of other workers."""

from proxy.timers import TICK_S
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.board import Board, Corroborated
from proxy.upstream.waiting import busy_at


class Corroboration:
    """Collects and tells such knowledge. One per worker; scheduled on its timer wheel."""

    __slots__ = ("_board", "_by_key", "_idle")

    def __init__(self, board: Board | None) -> None:
        """`board`: None where there is no other worker."""
        self._board = board
        self._by_key: dict[int, list[LiveEndpoint]] = {}  # endpoints that may be at work for this worker
        self._idle: list[LiveEndpoint] = []  # of these, endpoints that have given-up requests alone

    def begin(self, endpoint: LiveEndpoint) -> None:
        """An endpoint has got a request."""
        same = self._by_key.setdefault(endpoint.observed().key, [])
        if endpoint not in same:
            same.append(endpoint)

    def end(self, endpoint: LiveEndpoint, now: float) -> None:
        """An endpoint has no request any more."""
        if endpoint.observed().given_up.still(now):
            self._idle.append(endpoint)
        else:
            self._forget(endpoint)

    def ask(self, endpoint: LiveEndpoint, now: float) -> None:
        """Ask the other workers for their knowledge; to be called again while the answer is of interest."""
        if self._board is not None:
            self._board.ask(endpoint.observed().key, now)

    def of(self, endpoint: LiveEndpoint, since: float, now: float) -> Corroborated | None:
        """Return the others' knowledge, None while that of any worker is older than `since` (monotonic)."""
        key = endpoint.observed().key
        told = self._board.told(key, since, now) if self._board is not None else Corroborated()
        if told is not None:
            self._add(told, key, endpoint, now)
        return told

    def expire(self, now: float) -> float | None:
        """Answer the other workers; the timer wheel calls `expire`."""
        board = self._board
        if board is not None:
            for key in board.wanted(now):
                ours = Corroborated()
                self._add(ours, key, None, now)
                board.tell(key, ours.heard, ours.busy, now)
        if self._idle:
            idle, self._idle = self._idle, []
            for endpoint in idle:
                if not endpoint.is_watched:
                    self.end(endpoint, now)
        return now + TICK_S

    def _forget(self, endpoint: LiveEndpoint) -> None:
        key = endpoint.observed().key
        left = [each for each in self._by_key.get(key, ()) if each is not endpoint]
        if left:
            self._by_key[key] = left
        else:
            self._by_key.pop(key, None)

    def _add(self, told: Corroborated, key: int, but: LiveEndpoint | None, now: float) -> None:
        for endpoint in self._by_key.get(key, ()):
            if endpoint is not but:
                told.heard = max(told.heard, endpoint.heard)
                told.busy += busy_at(endpoint, now)
