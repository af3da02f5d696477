"""The board: shared memory in which the workers of a gateway exchange their knowledge of a silent endpoint.

A worker that finds an endpoint silent asks. While a question is open, every worker writes ten times a
second when it last heard the endpoint, and when its oldest requests were sent that the endpoint may be
working on. So no worker takes an endpoint for stopped that answers another worker, nor for idle when the
endpoint is full of another worker's requests. The board needs no control plane, and costs nothing while no
worker asks.
"""

from math import inf
from typing import Final

MOST_WORKERS: Final = 64  # a worker with a higher number decides by itself, and is not asked
ROWS: Final = 256  # endpoints that workers can ask about at a time
OLDEST: Final = 8  # requests that a worker writes down; more of them fill any endpoint

ASKED_S: Final = 0.5  # time for which a question stays open
GONE_S: Final = 3.0  # silence after which a worker has ended, and has no requests

_CELL: Final = 2 + OLDEST  # words: written at, heard, requests
_ROW: Final = 2 + MOST_WORKERS * _CELL  # words: key, asked at, a cell for each worker
_HEAD: Final = 1 + MOST_WORKERS  # words: last question, when each worker last wrote
MEMORY_BYTES: Final = 8 * (_HEAD + ROWS * _ROW)


class Corroborated:
    """Knowledge of other workers about an endpoint. Times are monotonic seconds."""

    __slots__ = ("busy", "heard")

    def __init__(self) -> None:
        self.heard = -inf
        self.busy: list[float] = []  # when the requests were sent that the endpoint may be working on


class Board:
    """One worker's place at the board. Words are written one at a time, and never locked."""

    __slots__ = ("_keys", "_values", "_worker")

    def __init__(self, memory: memoryview, worker: int) -> None:
        """`memory` is MEMORY_BYTES of zeros that the workers share; `worker` is this one's number."""
        self._keys = memory.cast("q")
        self._values = memory.cast("d")
        self._worker = worker

    def ask(self, key: int, now: float) -> None:
        """Ask the other workers about an endpoint; again and again, for as long as the answer is of
        interest."""
        at = self._place(key, now)
        if at >= 0:
            self._values[at + 1] = now
            self._values[0] = now

    def wanted(self, now: float) -> list[int]:
        """Return the keys of the endpoints that workers ask about; to be called ten times a second."""
        if self._worker < MOST_WORKERS:
            self._values[1 + self._worker] = now
        if now - self._values[0] >= ASKED_S:
            return []
        rows = range(_HEAD, _HEAD + ROWS * _ROW, _ROW)
        return [int(self._keys[at]) for at in rows if self._keys[at] and now - self._values[at + 1] < ASKED_S]

    def tell(self, key: int, heard: float, busy: list[float], now: float) -> None:
        """Write this worker's knowledge of an endpoint; see Corroborated."""
        at = self._place(key, now)
        if at < 0 or self._worker >= MOST_WORKERS:
            return
        cell = at + 2 + self._worker * _CELL
        oldest = sorted(busy)[:OLDEST]
        for number in range(OLDEST):
            self._values[cell + 2 + number] = oldest[number] if number < len(oldest) else inf
        self._values[cell + 1] = heard
        self._values[cell] = now  # written last: the row that it dates is complete

    def told(self, key: int, since: float, now: float) -> Corroborated | None:
        """Return the others' entries since `since`; None while an entry of a living worker is older."""
        found, at = Corroborated(), self._place(key, now)
        for worker in range(MOST_WORKERS):
            wrote: float = self._values[1 + worker]
            if worker == self._worker or not wrote or now - wrote >= GONE_S:
                continue
            if at < 0:
                return None
            cell = at + 2 + worker * _CELL
            if self._values[cell] < since:
                return None
            found.heard = max(found.heard, float(self._values[cell + 1]))
            for number in range(OLDEST):
                sent: float = self._values[cell + 2 + number]
                if sent != inf:
                    found.busy.append(sent)
        return found

    def _place(self, key: int, now: float) -> int:
        """Return where the row of an endpoint is, or is made; -1 where all rows are in use."""
        free = -1
        for number in range(ROWS):
            at = _HEAD + (key + number) % ROWS * _ROW
            found: int = self._keys[at]
            if found == key:
                return at
            if free < 0 and (not found or now - self._values[at + 1] >= ASKED_S):
                free = at
            if not found:
                break
        if free >= 0:
            self._keys[free] = 0
            for word in range(free + 1, free + _ROW):
                self._values[word] = 0.0
            self._keys[free] = key
        return free
