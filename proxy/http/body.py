"""The body of a request: cut from the stream by its framing."""

from proxy.http.chunked import ChunkDecoder, ChunkError
from proxy.http.control import CHUNKED
from proxy.http.errors import RequestError


class RequestBody:
    """Decodes the body of one request, which `feed` takes as it arrives. Only for requests with a body."""

    __slots__ = ("_decoder", "_left", "_most", "_size", "done", "rest_bytes")

    def __init__(self, length: int, most: int = 0) -> None:
        """`length`: Control.length, bytes or CHUNKED. `most`: limit of a chunked body, bytes; 0 for none."""
        self._decoder = ChunkDecoder() if length == CHUNKED else None
        self._left = length
        self._most = most
        self._size = 0
        self.done = False
        self.rest_bytes = 0  # received bytes behind the end of the body

    @property
    def is_chunked(self) -> bool:
        return self._decoder is not None

    @property
    def trailers(self) -> bytes:
        """Field lines behind the body, once it is `done`."""
        return self._decoder.trailers if self._decoder is not None else b""

    @property
    def has_more(self) -> bool:
        """Whether bytes that were fed are not decoded yet: feed b"" for more of the body."""
        return self._decoder is not None and self._decoder.has_more

    def feed(self, data: bytes, at: int = 0) -> bytes:
        """Return the body in data[at:], without its framing. Raises RequestError (400, 413)."""
        if self._decoder is not None:
            return self._feed_chunks(self._decoder, data, at)
        piece = data[at : at + self._left]
        self._left -= len(piece)
        self.done = self._left == 0
        self.rest_bytes = len(data) - at - len(piece)
        return piece

    def rest(self, data: bytes) -> bytes:
        """Return the bytes behind the end of the body; `data` are the bytes that were fed last."""
        if self._decoder is not None:
            return self._decoder.rest
        return data[len(data) - self.rest_bytes :]

    def _feed_chunks(self, decoder: ChunkDecoder, data: bytes, at: int) -> bytes:
        try:
            payload = decoder.feed(data, at)
        except ChunkError as error:
            raise RequestError(400, str(error)) from error
        self._size += len(payload)
        if self._size > self._most > 0:
            raise RequestError(413, f"the body is larger than {self._most} bytes")
        self.done = decoder.done
        self.rest_bytes = decoder.rest_bytes
        return payload
