"""The body of a message: cut from the stream by its framing."""

from proxy.http.chunked import ChunkDecoder, ChunkError
from proxy.http.errors import RequestError
from proxy.http.framing import CHUNKED, UNTIL_CLOSE


class Body:
    """Decodes one body, which `feed` takes as it arrives. Only for messages with a body."""

    __slots__ = ("_decoder", "done", "left", "rest_bytes")

    def __init__(self, length: int) -> None:
        """`length`: bytes, or CHUNKED, or UNTIL_CLOSE."""
        self._decoder = ChunkDecoder() if length == CHUNKED else None
        self.left = length  # bytes to come; of no meaning for chunks
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
        """Return the body in data[at:], without its framing. Raises ChunkError."""
        if self._decoder is not None:
            payload = self._decoder.feed(data, at)
            self.done = self._decoder.done
            self.rest_bytes = self._decoder.rest_bytes
            return payload
        if self.left == UNTIL_CLOSE:
            return data[at:]
        piece = data[at : at + self.left]
        self.left -= len(piece)
        self.done = self.left == 0
        self.rest_bytes = len(data) - at - len(piece)
        return piece

    def rest(self, data: bytes) -> bytes:
        """Return the bytes behind the end of the body; `data` are the bytes that were fed last."""
        if self._decoder is not None:
            return self._decoder.rest
        return data[len(data) - self.rest_bytes :]


class RequestBody(Body):
    """The body of a request, which may be limited."""

    __slots__ = ("_most", "_size")

    def __init__(self, length: int, most: int = 0) -> None:
        """`length`: Control.length, bytes or CHUNKED. `most`: limit of a chunked body, bytes; 0 for none."""
        super().__init__(length)
        self._most = most
        self._size = 0

    def feed(self, data: bytes, at: int = 0) -> bytes:
        """Return the body in data[at:], without its framing. Raises RequestError (400, 413)."""
        try:
            payload = super().feed(data, at)
        except ChunkError as error:
            raise RequestError(400, str(error)) from error
        if self._decoder is not None:
            self._size += len(payload)
            if self._size > self._most > 0:
                raise RequestError(413, f"the body is larger than {self._most} bytes")
        return payload
