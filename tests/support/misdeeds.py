"""What a pod can do with a request, right and wrong: data for `tests.support.faulty`."""

from collections.abc import Callable
from typing import Final, Protocol

from tests.support.tokens import token

_CHUNK_END: Final = b"0\r\n\r\n"


class Line(Protocol):
    """A connection to the gateway on which one request has been read."""

    @property
    def requests(self) -> int:
        """How many came so far."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def end(self) -> None:
        """RST or FIN."""

    def later(self, at_most_s: float, work: Callable[[], None]) -> None: ...

    def dice(self, faces: int) -> int: ...


Act = Callable[[Line, str], None]


def _fields(identity: str, framing: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nX-Id: %b\r\n%b\r\n" % (status, token(identity).strip(), framing)


def _with_length(body: bytes, identity: str, status: bytes = b"200 OK") -> bytes:
    return _fields(identity, b"Content-Length: %d\r\n" % len(body), status) + body


def whole(line: Line, identity: str) -> None:
    line.write(_with_length(token(identity) * line.dice(40), identity))


def head_only(line: Line, identity: str) -> None:
    line.write(_fields(identity, b"Content-Length: 4711\r\n"))


def _late(line: Line, identity: str) -> None:
    line.later(0.3, lambda: whole(line, identity))


def _long(line: Line, identity: str) -> None:
    line.write(_with_length(token(identity) * 40_000, identity))


def _in_pieces(line: Line, identity: str) -> None:
    answer = _with_length(token(identity) * 500, identity)
    cut = line.dice(len(answer) - 1)
    line.write(answer[:cut])
    line.later(0.05, lambda: line.write(answer[cut:]))


def _chunk(identity: str) -> bytes:
    body = token(identity) * 20
    return b"%x\r\n%b\r\n" % (len(body), body)


def _chunked(line: Line, identity: str) -> None:
    line.write(_fields(identity, b"Transfer-Encoding: chunked\r\n") + _chunk(identity))
    line.later(0.05, lambda: line.write(_chunk(identity) + _CHUNK_END))


def _until_close(line: Line, identity: str) -> None:
    line.write(_fields(identity, b"") + token(identity) * 100)
    line.later(0.02, line.close)


def _error(line: Line, identity: str) -> None:
    status = (b"502 X", b"503 X", b"504 X")[line.dice(3) - 1]
    line.write(_with_length(token(identity), identity, status))


def _nothing(_line: Line, _identity: str) -> None:
    """Hang: not a word until somebody loses patience."""


def _gone(line: Line, _identity: str) -> None:
    line.end()


def _cut(line: Line, identity: str) -> None:
    answer = _with_length(token(identity) * 100, identity)
    line.write(answer[: line.dice(len(answer) - 1)])
    line.later(0.01, line.end)


def _cut_long(line: Line, identity: str) -> None:
    answer = _with_length(token(identity) * 60_000, identity)
    line.write(answer[: line.dice(len(answer) - 1)])
    line.later(0.05, line.end)


def _cut_chunks(line: Line, identity: str) -> None:
    line.write(_fields(identity, b"Transfer-Encoding: chunked\r\n") + _chunk(identity)[: line.dice(100)])
    line.later(0.01, line.end)


def _stops(line: Line, identity: str) -> None:
    """The head, a part of the body, and nothing more."""
    line.write(_with_length(token(identity) * 100, identity)[:300])


def _interim(line: Line, identity: str) -> None:
    line.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    if line.dice(2) == 1:
        line.later(0.05, lambda: whole(line, identity))
    else:
        line.later(0.02, line.end)


def _malformed(line: Line, identity: str) -> None:
    line.write(
        (b"HTTP/1.1 2OO OK\r\n\r\n", b"220 smtp ready\r\n", b"HTTP/1.1 200 OK\nX: 1\n\n")[line.dice(3) - 1]
    )


def _bad_chunk(line: Line, identity: str) -> None:
    line.write(_fields(identity, b"Transfer-Encoding: chunked\r\n") + _chunk(identity))
    line.later(0.01, lambda: line.write(b"zz\r\n"))


def _surplus(line: Line, identity: str) -> None:
    """In one segment, so that it is there before another request can be sent."""
    line.write(_with_length(token(identity), identity) + _with_length(token("surplus"), "surplus"))


def _talks_when_idle(line: Line, identity: str) -> None:
    """No HTTP: an answer that comes just after the next request cannot be told from its own."""
    whole(line, identity)
    requests = line.requests
    line.later(0.01, lambda: line.write(token("unasked")) if line.requests == requests else None)


def _ends_when_idle(line: Line, identity: str) -> None:
    whole(line, identity)
    line.later(0.01, line.end)


def _last(line: Line, identity: str) -> None:
    line.write(_with_length(token(identity), identity).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    line.close()


_TABLE: Final[dict[str, tuple[int, Act]]] = {
    "whole": (9, whole),
    "late": (3, _late),
    "long": (1, _long),
    "in pieces": (3, _in_pieces),
    "chunked": (3, _chunked),
    "until close": (2, _until_close),
    "error": (2, _error),
    "nothing": (1, _nothing),
    "gone": (2, _gone),
    "cut": (1, _cut),
    "cut long": (1, _cut_long),
    "cut chunks": (1, _cut_chunks),
    "stops": (1, _stops),
    "interim": (1, _interim),
    "malformed": (1, _malformed),
    "bad chunk": (1, _bad_chunk),
    "surplus": (1, _surplus),
    "talks when idle": (1, _talks_when_idle),
    "ends when idle": (2, _ends_when_idle),
    "last": (1, _last),
}
"""How often, of all, and what; the first six are right."""

ACTS: Final = [(name, act) for name, (times, act) in _TABLE.items() for _ in range(times)]
FOR_HEAD: Final = frozenset(("gone", "nothing", "malformed"))
"""What can be done with a HEAD as well."""
