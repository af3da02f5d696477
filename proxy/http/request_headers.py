"""The header block of a request, validated and made ready to forward; remembered by its exact bytes.

Field rules, in this order (RFC 9110 §7.6.1): framing is read, hop-by-hop fields and what
`Connection` names are removed, fields that only a trusted hop may set are removed, our own are
added last, so that no client can name ours in `Connection` (CVE-2024-45410).
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import DIGITS, FIELD_LINE, HOST, TOKEN_LIST

CHUNKED: Final = -1
"""RequestHeaders.length of a body in chunks."""


# What becomes of a field. Plain numbers: this is looked up for every field of every new head.
DROP: Final = 0  # hop by hop, or for a trusted hop to set
KEEP: Final = 1
READ: Final = 2  # means something to us, and is written anew or not at all

_RULES: Final[dict[bytes, int]] = {
    b"host": READ,
    b"connection": READ,
    b"content-length": READ,
    b"transfer-encoding": READ,
    b"upgrade": READ,
    b"expect": READ,
    b"x-request-id": READ,
    b"user-agent": KEEP | READ,
    b"max-forwards": KEEP | READ,
    b"keep-alive": DROP,
    b"proxy-connection": DROP,
    b"te": DROP,
    b"trailer": DROP,
    b"http2-settings": DROP,
    b"proxy-authenticate": DROP,
    b"proxy-authorization": DROP,
    b"forwarded": DROP,
    b"x-real-ip": DROP,
    b"x-original-url": DROP,
    b"x-rewrite-url": DROP,
    b"true-client-ip": DROP,
    b"proxy": DROP,  # httpoxy: CGI would read it as HTTP_PROXY
}
_DROPPED_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-", b"x-fleetgate-")
_REQUEST_ID: Final = re.compile(rb"[0-9A-Za-z._:/+=-]{1,128}+")
_PLAIN_JSON: Final = re.compile(rb"[ !#-\[\]-~]*+")


_LONGEST_REMEMBERED: Final = 512


def _field(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a field line as we write it ("" if it is not passed on), and name and value of one we read.

    `line` comes without CRLF. Raises RequestError for what is no field line.
    """
    match = FIELD_LINE.fullmatch(line)
    if match is None:
        raise bad_line(line)
    if len(line) > limits.MAX_LINE_BYTES:
        raise RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
    name, value = match.groups()
    lower = name.lower()
    rule = DROP if lower.startswith(_DROPPED_PREFIXES) else _RULES.get(lower, KEEP)
    out = b"%b: %b\r\n" % (name, value) if rule & KEEP else b""
    return (out, lower, value) if rule & READ else (out, b"", b"")


# Blocks seldom repeat where every request has its own cookie or trace id, but most of their lines do
_remembered_field = lru_cache(maxsize=8192)(_field)


class RequestHeaders:
    """The work done once for a header block. Immutable, but for the memo of looked-up values."""

    __slots__ = (
        "_lines", "_values", "authority", "close", "expect", "forward", "host", "is_plain",
        "is_remembered", "length",
        "log", "max_forwards", "request_id", "upgrade",
    )  # fmt: skip

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._values: dict[bytes, tuple[bytes, ...]] = {}
        self.host = b""  # lower case, without port and trailing dot: the routing key
        self.authority: bytes | None = None  # as received
        self.forward = b""  # the fields an endpoint gets, framing included, without the final CRLF
        self.length = 0  # of the body, or CHUNKED
        self.close = False
        self.expect = False
        self.upgrade = False  # a WebSocket upgrade is asked for
        self.max_forwards = b""
        self.request_id = b""
        self.is_remembered = False  # somebody else may get this same object
        self.is_plain = False  # a host, no body, and nothing out of the ordinary
        self.log = b""  # members of the log line

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of a field (name in lower case), without surrounding white space."""
        found = self._values.get(name)
        if found is None:
            start = name + b":"
            size = len(start)
            found = tuple([line[size:].strip(b" \t") for line in self._lines if line[:size].lower() == start])
            self._values[name] = found
        return found


def parse_headers(block: bytes) -> RequestHeaders:
    """Return what a header block means; `block` ends with the CRLF of its last line.

    Raises RequestError for everything whose framing or meaning two servers could read differently.
    """
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > limits.MAX_FIELDS:
        raise RequestError(431, f"more than {limits.MAX_FIELDS} header fields")
    headers = RequestHeaders(lines)
    kept: list[bytes] = []
    special: dict[bytes, list[bytes]] = {}
    for line in lines:
        out, name, value = _remembered_field(line) if len(line) <= _LONGEST_REMEMBERED else _field(line)
        if out:
            kept.append(out)
        if name:
            special.setdefault(name, []).append(value)
    nominated = _read_connection(headers, special)
    _read_host(headers, special.get(b"host"))
    _read_framing(headers, special)
    _read_upgrade(headers, special)
    _read_others(headers, special)
    if nominated:
        kept = [line for line in kept if line.partition(b":")[0].lower() not in nominated]
    headers.forward = _forward(headers, kept, has_length=b"content-length" in special)
    headers.log = _log_members(headers, special.get(b"user-agent"))
    headers.is_plain = (
        headers.authority is not None
        and headers.length == 0
        and not (headers.upgrade or headers.expect or headers.close or headers.max_forwards)
    )
    return headers


def _read_connection(headers: RequestHeaders, special: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    lines = special.get(b"connection")
    if lines is None:
        return frozenset()
    value = b",".join(lines).lower()
    if TOKEN_LIST.fullmatch(value) is None:
        raise RequestError(400, "Connection is not a list of tokens")
    options = frozenset(option.strip(b" \t") for option in value.split(b","))
    # RFC 9110 §7.6.1: naming these would change where the message ends or goes
    if b"content-length" in options or b"host" in options:
        raise RequestError(400, "Connection names a field that must reach the endpoint")
    headers.close = b"close" in options
    headers.upgrade = b"upgrade" in options
    return options


def _read_host(headers: RequestHeaders, lines: list[bytes] | None) -> None:
    if lines is None:
        return
    if len(lines) > 1:
        raise RequestError(400, "more than one Host field")
    match = HOST.fullmatch(lines[0])
    if match is None or int(match.group(2) or 0) > 65535:
        raise RequestError(400, "Host is not a host name and port")
    headers.authority = lines[0]
    host = match.group(1).lower()
    headers.host = host[:-1] if host.endswith(b".") and len(host) > 1 else host


def _read_framing(headers: RequestHeaders, special: dict[bytes, list[bytes]]) -> None:
    # RFC 9112 §6: any doubt about where the body ends is refused
    codings = special.get(b"transfer-encoding")
    lengths = special.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            raise RequestError(400, "both Transfer-Encoding and Content-Length")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise RequestError(400, "Transfer-Encoding is not exactly chunked")
        headers.length = CHUNKED
    elif lengths is not None:
        if len(lengths) > 1:
            raise RequestError(400, "more than one Content-Length field")
        if DIGITS.fullmatch(lengths[0]) is None:
            raise RequestError(400, "Content-Length is not a decimal number")
        headers.length = int(lengths[0])
        if headers.length > limits.MAX_BODY_BYTES:
            raise RequestError(413, f"the body is larger than {limits.MAX_BODY_BYTES} bytes")


def _read_upgrade(headers: RequestHeaders, special: dict[bytes, list[bytes]]) -> None:
    if headers.upgrade:
        protocols = b",".join(special.get(b"upgrade", [])).lower().split(b",")
        # The one allowed protocol: h2c would let requests pass unseen (CVE-2026-88008)
        headers.upgrade = b"websocket" in [protocol.strip(b" \t") for protocol in protocols]


def _read_others(headers: RequestHeaders, special: dict[bytes, list[bytes]]) -> None:
    expectations = special.get(b"expect")
    if expectations is not None:
        if any(value.lower() != b"100-continue" for value in expectations):
            raise RequestError(417, "the only expectation is 100-continue")
        headers.expect = headers.length != 0
    given = special.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given[0]) is not None:
        headers.request_id = given[0]
    hops = special.get(b"max-forwards")
    if hops is not None:
        headers.max_forwards = hops[0]


def _forward(headers: RequestHeaders, kept: list[bytes], *, has_length: bool) -> bytes:
    authority = headers.authority or b""
    if headers.length == CHUNKED:
        kept.append(b"Transfer-Encoding: chunked\r\n")
    elif has_length:
        kept.append(b"Content-Length: %d\r\n" % headers.length)
    return b"Host: %b\r\n%bX-Forwarded-Host: %b\r\n" % (authority, b"".join(kept), authority)


def _log_members(headers: RequestHeaders, agents: list[bytes] | None) -> bytes:
    agent = b'""'
    if agents is not None:
        agent = b'"%b"' % agents[0]
        if _PLAIN_JSON.fullmatch(agents[0]) is None:
            # Octets beyond ASCII have no meaning we know: latin-1 keeps them apart
            agent = msgspec.json.encode(agents[0].decode("latin-1"))
    return b'"host":"%b","ua":%b' % (headers.authority or b"", agent)


def bad_line(line: bytes) -> RequestError:
    """Say what is wrong with a line that FIELD_LINE refuses."""
    if len(line) > limits.MAX_LINE_BYTES:
        return RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
    if b"\n" in line or b"\r" in line:
        return RequestError(400, "a header line has a bare CR or LF")
    if line[:1] in (b" ", b"\t"):
        return RequestError(400, "a header line is folded")
    name, colon, _ = line.partition(b":")
    if not colon:
        return RequestError(400, "a header line has no colon")
    if b"_" in name:
        return RequestError(400, "a header name has an underscore")
    return RequestError(400, "a header line has a forbidden character")


def check_lines(block: bytes) -> None:
    """Refuse whole lines, with their CRLF, that no end of the block can make valid. Raises RequestError."""
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > limits.MAX_FIELDS:
        raise RequestError(431, f"more than {limits.MAX_FIELDS} header fields")
    for line in lines:
        if FIELD_LINE.fullmatch(line) is None:
            raise bad_line(line)
