"""The body of a request: cut from the stream by its framing, framed anew for the endpoint."""

from proxy.http.chunked import END, ChunkDecoder, ChunkError, encode_chunk
from proxy.http.control import CHUNKED
from proxy.http.errors import RequestError


class RequestBody:
    """Feed it what arrives after the head. Only for requests that have a body."""

    __slots__ = ("_decoder", "_left", "_most", "_size", "done", "rest")

    def __init__(self, length: int, most: int = 0) -> None:
        """`length` is Control.length: bytes, or CHUNKED, and then `most` bytes; 0 is any number."""
        self._decoder = ChunkDecoder() if length == CHUNKED else None
        self._left = length
        self._most = most
        self._size = 0
        self.done = False
        self.rest = b""  # what lies behind the end of the body

    def feed(self, data: bytes) -> bytes:
        """Return the body in `data`, ready for the endpoint. Raises RequestError (400, 413)."""
        if self._decoder is not None:
            return self._feed_chunks(self._decoder, data)
        piece = data[: self._left]
        self._left -= len(piece)
        self.done = self._left == 0
        self.rest = data[len(piece) :]
        return piece

    def _feed_chunks(self, decoder: ChunkDecoder, data: bytes) -> bytes:
        try:
            payload = decoder.feed(data)
        except ChunkError as error:
            raise RequestError(400, str(error)) from error
        self._size += len(payload)
        if self._size > self._most > 0:
            raise RequestError(413, f"the body is larger than {self._most} bytes")
        self.done = decoder.done
        self.rest = decoder.rest
        wire = encode_chunk(payload) if payload else b""
        return wire + END if self.done else wire
