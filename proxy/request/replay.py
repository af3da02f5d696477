"""The body of a request, kept for as long as it can be sent to another endpoint."""

from proxy.request.downstream import Downstream
from proxy.request.record import RequestRecord
from proxy.upstream.retries.replay import ReplayMemory
from proxy.upstream.retries.rules import REPLAY_BYTES


class ReplayBody:
    """Kept pieces of a body, without framing. All requests of the worker share the memory for them."""

    __slots__ = ("_downstream", "_memory", "_pieces", "_record", "kept_bytes")

    def __init__(self, record: RequestRecord, downstream: Downstream, memory: ReplayMemory) -> None:
        self._record = record
        self._downstream = downstream
        self._memory = memory
        self._pieces: list[bytes] = []
        self.kept_bytes = 0

    def take(self, payload: bytes, *, is_sent: bool) -> None:
        """Keep a piece of the body; `is_sent`: an endpoint gets it now.

        Of a body that is too large nothing is kept once an endpoint has it. Until then no more of it is read.
        """
        self._record.body_bytes += len(payload)
        if not payload or not self._record.is_replayable:
            return
        self._pieces.append(payload)
        self.kept_bytes += len(payload)
        self._memory.take(len(payload))
        if self.kept_bytes > REPLAY_BYTES or self._memory.is_full():
            if is_sent:
                self.forget()
            else:
                self._downstream.read_body(False)

    def for_attempt(self) -> bytes:
        """Return the received part of the body; while the shared memory is full, keep the body no longer."""
        body = b"".join(self._pieces)
        if self._memory.is_full():
            self.forget()
        if not self._record.has_whole_body:
            self._downstream.accept_body()
        return body

    def copy(self) -> bytes | None:
        """Return the whole body for a mirror, None for a body that is too large, or dropped already."""
        is_kept = self._record.is_replayable and self.kept_bytes <= REPLAY_BYTES
        return b"".join(self._pieces) if is_kept else None

    def forget(self) -> None:
        """Drop the body: from here on the request cannot be sent again."""
        self._record.is_replayable = False
        self._pieces.clear()
        self._memory.give_back(self.kept_bytes)
        self.kept_bytes = 0
