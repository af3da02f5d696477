"""Heads of responses as HPACK blocks, which use no dynamic table: all connections get the same bytes."""

from typing import Final

from proxy.http.framing import UNTIL_CLOSE
from proxy.http.memo import Memo
from proxy.http.response import ResponseHead
from proxy.http2.hpack_encoder import literal, status

_PRIVATE: Final = frozenset((b"set-cookie", b"www-authenticate", b"authentication-info"))
"""Fields that no intermediary may put into a table (RFC 7541 §7.1.3)."""
_OF_A_TUNNEL: Final = frozenset((b"sec-websocket-accept",))
"""The answer to our own key: the client has sent none."""
_OF_CONNECTIONS: Final = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
        b"upgrade", b"content-length", b"host",
    )
)  # fmt: skip
"""Fields that no trailer section may have (RFC 9110 §6.5.1), or that HTTP/2 does not have."""

_lines: Final[Memo[bytes]] = Memo()
_dates: Final[Memo[bytes]] = Memo(entries=4)


def response_block(head: ResponseHead, date: bytes) -> bytes:
    """Return the block of a head. `date` is now, as RFC 9110 §5.6.7 writes it, for a head without one."""
    block = head.hpack
    if not block:
        block = head.hpack = _encode(head)
    return block if head.dated else block + _date(date)


def tunnel_block(head: ResponseHead, date: bytes) -> bytes:
    """Return the block that begins a tunnel: the fields of an endpoint's 101, as a 200 (RFC 8441 §5)."""
    lines = head.start.split(b"\r\n")[1:-1]
    kept = [line for line in lines if line.partition(b":")[0].lower() not in _OF_A_TUNNEL]
    block = status(200) + b"".join([_line(line) for line in kept])
    return block if head.dated else block + _date(date)


def interim_block(head: ResponseHead) -> bytes:
    return _encode(head)


def trailer_block(lines: bytes) -> bytes:
    """Return the block of field lines behind a body, b"" where none of them may be there."""
    fields = [_line(line) for line in lines.split(b"\r\n") if line and _name(line) not in _OF_CONNECTIONS]
    return b"".join(fields)


def _encode(head: ResponseHead) -> bytes:
    fields = [status(head.status)]
    fields += [_line(line) for line in head.start.split(b"\r\n")[1:-1]]
    if head.length != UNTIL_CLOSE and head.length >= 0 and head.status != 204 and head.status >= 200:
        fields.append(literal(b"content-length", b"%d" % head.length))
    return b"".join(fields)


def _line(line: bytes) -> bytes:
    encoded = _lines.young.get(line) or _lines.again(line)
    if encoded is None:
        name = _name(line)
        value = line[len(name) + 1 :].strip(b" \t")
        encoded = literal(name, value, never_indexed=name in _PRIVATE)
        _lines.offer(line, encoded)
    return encoded


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def _date(date: bytes) -> bytes:
    encoded = _dates.young.get(date)
    if encoded is None:
        encoded = literal(b"date", date)
        _dates.offer(date, encoded)
    return encoded
