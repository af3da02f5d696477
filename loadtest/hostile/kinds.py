"""The kinds of hostile traffic: bytes that a client sends first, and bytes that it then repeats."""

from dataclasses import dataclass
from typing import Final

from loadtest.kit.site import HOST

BLOCK: Final = 65536


@dataclass(frozen=True, slots=True)
class Kind:
    """`first` is sent once on each connection, then `piece` without end, whole or byte by byte.

    `path` is asked for where the endpoint is hostile, and then a client only reads.
    """

    name: str
    first: bytes
    piece: bytes = b""
    byte_by_byte: bool = False

    @property
    def block(self) -> bytes:
        """About 64 KiB of pieces, each of them whole."""
        return self.piece * (BLOCK // len(self.piece)) if self.piece else b""


def request(path: str, *fields: str, method: str = "GET", host: str = HOST) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", "")).encode()


def _answered(name: str, path: str, *, host: str = HOST) -> Kind:
    """Requests that the gateway answers itself, pipelined."""
    return Kind(name, b"", request(path, host=host))


_CHUNKED: Final = request("/up/body", "Transfer-Encoding: chunked", method="POST")
_WEBSOCKET: Final = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

KINDS: Final = {
    kind.name: kind
    for kind in (
        _answered("404", "/", host="nobody"),
        _answered("403", "/403"),
        _answered("redirect", "/redirect"),
        _answered("fixed", "/fixed"),
        _answered("429", "/429"),
        _answered("503", "/503"),
        _answered("forwarded", "/up/90B"),
        Kind("long-paths", b"", request("/" + "a/" * 3900, host="nobody")),
        Kind("blank-lines", b"", b"\r\n" * 4 + request("/", host="nobody")),
        Kind("small-bodies", b"", request("/up/90B", "Content-Length: 1", method="POST") + b"a"),
        Kind("chunks", _CHUNKED, b"1\r\na\r\n"),
        Kind("long-sizes", _CHUNKED, b"0000000001\r\na\r\n"),
        Kind("upload", request("/up/body", "Content-Length: 100000000", method="POST"), b"a"),
        Kind("tiny-writes", request("/up/body", "Content-Length: 100000000", method="POST"), b"a", True),
        Kind(
            "slow-head", b"", request("/", *(f"X-{n}: {'a' * 290}" for n in range(90)), host="nobody"), True
        ),
        Kind("client-frames", request("/up/frames", *_WEBSOCKET), b"\x81\x81aaaaa"),
        Kind("up-chunks", request("/up/chunks")),
        Kind("up-long-sizes", request("/up/long-sizes")),
        Kind("up-hints", request("/up/hints")),
        Kind("up-frames", request("/up/frames", *_WEBSOCKET)),
        Kind("up-large", request("/up/large")),
        Kind("up-gzip", request("/up/large", "Accept-Encoding: gzip")),
        Kind("up-stream-gzip", request("/up/stream", "Accept-Encoding: gzip")),
    )
}
