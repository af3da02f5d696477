"""The body of a response that is streamed, on its way from the endpoint to the client."""

from typing import Final

from proxy.backlog import Backlog
from proxy.http.response import ResponseHead
from proxy.policies.compression import Compressor
from proxy.request.downstream import Downstream
from proxy.request.policy import LOG_COMPRESSED_UNIT
from proxy.request.record import RequestRecord

COMPRESSED_AT_ONCE: Final = 32768  # bytes: 0.5 to 1 ms


class Relay:
    """Relays one body, from the head on; counts its bytes, and compresses it where the client wants that."""

    __slots__ = ("_backlog", "_compressor", "_downstream", "_record")

    def __init__(
        self, downstream: Downstream, record: RequestRecord, backlog: Backlog, compressor: Compressor | None
    ) -> None:
        self._downstream = downstream
        self._record = record
        self._backlog = backlog
        self._compressor = compressor

    def begin(self, head: ResponseHead, data: bytes, at: int) -> None:
        if self._compressor is not None:
            data, at = self._compressed(self._compressor, memoryview(data)[at:]), 0
        self._record.response_bytes += len(data) - at
        self._downstream.begin(head, data, at)

    def data(self, payload: bytes) -> None:
        self._write(payload if self._compressor is None else self._compressed(self._compressor, payload))

    def piece(self, piece: memoryview) -> bool:
        """Relay a piece of memory that is used again; return whether it is free already."""
        if self._compressor is not None:
            self._write(self._compressed(self._compressor, piece))
            return True
        self._record.response_bytes += len(piece)
        return self._downstream.piece(piece)

    def end(self, last: bytes, trailers: bytes) -> None:
        if self._compressor is not None:
            last = self._compressor.finish(last)
        self._record.response_bytes += len(last)
        self._downstream.end(last, trailers)

    def room(self) -> int:
        """Return how many bytes the client takes at once, 0 if that is unknown."""
        return self._downstream.room() if self._compressor is None else 0

    def slice_bytes(self) -> int:
        """Return how many bytes may be relayed in one turn of the event loop, 0 for any number."""
        return COMPRESSED_AT_ONCE if self._compressor is not None else 0

    def _write(self, payload: bytes) -> None:
        self._record.response_bytes += len(payload)
        self._downstream.data(payload)

    def _compressed(self, compressor: Compressor, piece: bytes | memoryview) -> bytes:
        self._backlog.left -= len(piece) >> LOG_COMPRESSED_UNIT
        return compressor.feed(piece)
