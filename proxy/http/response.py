"""A response head of an endpoint, validated and made ready for the client; remembered by its bytes."""

from typing import Final

from proxy.http import limits
from proxy.http.errors import ResponseError
from proxy.http.framing import CHUNKED, UNTIL_CLOSE
from proxy.http.grammar import (
    DIGITS,
    FIELD,
    RESPONSE_FIELD_LINES,
    SPACE_BEFORE_COLON,
    STATUS_LINE,
    TOKEN_LIST,
)

DEFAULT_IDLE_S: Final = 4.0  # shorter than the 5 s of uvicorn and Node, so that they do not close first
LONGEST_IDLE_S: Final = 60.0
IDLE_MARGIN_S: Final = 1.0  # subtracted from the time that an endpoint announces in Keep-Alive

_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_SPECIAL: Final = _HOP_BY_HOP | {b"content-length", b"date", b"server"}
SERVER_LINE: Final = b"Server: fleetgate\r\n"  # Ingress conformance wants one; endpoints often send none


class ResponseHead:
    """The work done once for a response head."""

    __slots__ = (
        "block",
        "body_bytes",
        "dated",
        "hpack",
        "idle_s",
        "length",
        "reusable",
        "start",
        "status",
        "websocket",
        "whole",
    )

    def __init__(self, status: int) -> None:
        self.status = status
        self.block = b""  # the bytes by which a memo finds this head
        self.length = UNTIL_CLOSE  # bytes of the body, or CHUNKED, or UNTIL_CLOSE; before HEAD is considered
        self.reusable = True  # whether the framing lets the connection go on
        self.idle_s = DEFAULT_IDLE_S  # how long the connection may be kept for another request; 0: not at all
        self.dated = False
        self.websocket = False  # a 101 that switches to WebSocket
        self.start = b""  # status line and fields, without framing and final CRLF
        self.hpack = b""  # the same for clients of HTTP/2, once one has asked; see http2.response_head
        self.whole = b""  # the same, complete, for an HTTP/1.1 client whose connection goes on
        self.body_bytes = (
            -1
        )  # bytes of a body that every client gets whole and as it is; -1: it needs a closer look

    @property
    def has_no_body(self) -> bool:
        """Whether the status rules out a body, for all fields (RFC 9110 §6.4.1; answers to HEAD aside)."""
        return self.status < 200 or self.status == 204 or self.status == 304

    def replaced(self, start: bytes) -> "ResponseHead":
        """Return the same with another `start`."""
        other = ResponseHead(self.status)
        other.length = self.length
        other.reusable = self.reusable
        other.idle_s = self.idle_s
        other.dated = self.dated
        other.websocket = self.websocket
        other.start = start
        other.whole = start + self.framing(1) + b"\r\n"
        other.body_bytes = self.body_bytes
        return other

    def of_length(self, length: int) -> "ResponseHead":
        """Return the same head for a body of `length` bytes."""
        other = self.replaced(self.start)
        other.length = length
        other.whole = other.start + other.framing(1) + b"\r\n"
        return other

    def text(self, version: int, date: bytes, *, keep: bool) -> bytes:
        """Return the head complete, for a client of HTTP/1.`version` whose connection goes on or not."""
        return b"%b%b%b%b\r\n" % (
            self.start,
            b"" if self.dated else b"Date: %b\r\n" % date,
            self.framing(version),
            b"" if keep else b"Connection: close\r\n",
        )

    def framing(self, version: int) -> bytes:
        """Return the framing line for a client of HTTP/1.`version`, "" when there is none."""
        if self.status == 204 or self.status < 200:
            return b""
        if self.length >= 0:
            return b"Content-Length: %d\r\n" % self.length
        if version == 0 or self.status == 304:
            return b""
        return b"Transfer-Encoding: chunked\r\n"


def parse_response_head(block: bytes) -> ResponseHead:
    """Return the meaning of a head; `block` ends with the CRLF of its last line. Raises ResponseError."""
    if len(block) > limits.MAX_HEAD_BYTES:
        raise ResponseError(f"the response head is larger than {limits.MAX_HEAD_BYTES} bytes")
    end = block.find(b"\r\n")
    match = STATUS_LINE.fullmatch(block, 0, end)
    if match is None:
        raise ResponseError("the status line is malformed")
    lines = block[end + 2 :]
    if RESPONSE_FIELD_LINES.fullmatch(lines) is None:
        lines = SPACE_BEFORE_COLON.sub(rb"\1:", lines)
        if RESPONSE_FIELD_LINES.fullmatch(lines) is None:
            raise ResponseError("a header line of the response is malformed")
    fields = FIELD.findall(lines)
    if len(fields) > limits.MAX_FIELDS:
        raise ResponseError(f"more than {limits.MAX_FIELDS} header fields in the response")
    head = ResponseHead(int(match.group(2)))
    special, kept = _sort_fields(fields)
    nominated = _read_connection(head, special, match.group(1) == b"0")
    _read_framing(head, special)
    _read_keep_alive(head, special)
    head.dated = b"date" in special
    out = [b"HTTP/1.1 %b %b\r\n" % (match.group(2), match.group(3) or b"")]
    out += [b"%b: %b\r\n" % (name, value) for lower, name, value in kept if lower not in nominated]
    if b"server" not in special:
        out.append(SERVER_LINE)
    head.start = b"".join(out)
    head.whole = head.start + head.framing(1) + b"\r\n"
    if head.length >= 0 and not head.has_no_body:
        head.body_bytes = head.length
    return head


def _sort_fields(
    fields: list[tuple[bytes, bytes]],
) -> tuple[dict[bytes, list[bytes]], list[tuple[bytes, bytes, bytes]]]:
    special: dict[bytes, list[bytes]] = {}
    kept: list[tuple[bytes, bytes, bytes]] = []
    for name, value in fields:
        lower = name.lower()
        value = value.strip(b" \t")
        if lower in _SPECIAL:
            special.setdefault(lower, []).append(value)
            if lower == b"date" or lower == b"server":
                kept.append((lower, name, value))
        else:
            kept.append((lower, name, value))
    return special, kept


def _read_connection(
    head: ResponseHead, special: dict[bytes, list[bytes]], is_http10: bool
) -> frozenset[bytes]:
    head.reusable = not is_http10
    lines = special.get(b"connection")
    if lines is None:
        return frozenset()
    value = b",".join(lines).lower()
    if TOKEN_LIST.fullmatch(value) is None:
        raise ResponseError("Connection of the response is not a list of tokens")
    options = frozenset(option.strip(b" \t") for option in value.split(b","))
    if b"close" in options:
        head.reusable = False
    if head.status == 101 and b"upgrade" in options:
        head.websocket = [v.lower() for v in special.get(b"upgrade", [])] == [b"websocket"]
    return options


def _read_framing(head: ResponseHead, special: dict[bytes, list[bytes]]) -> None:
    codings = special.get(b"transfer-encoding")
    lengths = special.get(b"content-length")
    if lengths is not None:
        if any(DIGITS.fullmatch(value) is None for value in lengths) or len(set(lengths)) > 1:
            raise ResponseError("Content-Length of the response is not one decimal number")
        head.length = int(lengths[0])
    if codings is not None:
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise ResponseError("Transfer-Encoding of the response is not exactly chunked")
        if lengths is not None:
            head.reusable = False  # RFC 9112 §6.3: it may be an attempt at response splitting
        head.length = CHUNKED
    if head.length == UNTIL_CLOSE and not head.has_no_body:
        head.reusable = False
    if head.status == 204 and (codings is not None or head.length > 0):
        head.reusable = False  # RFC 9112 §6.1 forbids both; later bytes cannot be trusted


def _read_keep_alive(head: ResponseHead, special: dict[bytes, list[bytes]]) -> None:
    for parameter in b",".join(special.get(b"keep-alive", [])).lower().split(b","):
        name, _, value = parameter.strip(b" \t").partition(b"=")
        if name == b"timeout" and DIGITS.fullmatch(value) is not None:
            head.idle_s = max(min(int(value) - IDLE_MARGIN_S, LONGEST_IDLE_S), 0.0)
    if not head.reusable:
        head.idle_s = 0.0
