"""The header block of a request, validated and made ready to forward; remembered by its exact bytes.

Field rules, in this order (RFC 9110 §7.6.1): framing is read, hop-by-hop fields and what
`Connection` names are removed, fields that only a trusted hop may set are removed, our own are
added last, so that no client can name ours in `Connection` (CVE-2024-45410).
"""

import re
from typing import Final

import msgspec

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import DIGITS, FIELD, FIELD_LINES, HOST, TOKEN_LIST

CHUNKED: Final = -1
"""RequestHeaders.length of a body in chunks."""

_HOP_BY_HOP: Final = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
        b"upgrade", b"http2-settings", b"proxy-authenticate", b"proxy-authorization",
    )
)  # fmt: skip
_CONSUMED: Final = frozenset((b"host", b"content-length", b"expect", b"x-request-id"))
_TRUSTED_HOP_ONLY: Final = frozenset(
    (b"forwarded", b"x-real-ip", b"x-original-url", b"x-rewrite-url", b"true-client-ip", b"proxy")
)
_TRUSTED_HOP_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-", b"x-fleetgate-")
_SPECIAL: Final = _HOP_BY_HOP | _CONSUMED | _TRUSTED_HOP_ONLY | {b"max-forwards"}
_REQUEST_ID: Final = re.compile(rb"[0-9A-Za-z._:/+=-]{1,128}+")


class RequestHeaders:
    """The work done once for a header block. Immutable but for the memo of looked-up values."""

    __slots__ = (
        "_fields", "_quoted", "_values", "authority", "close", "expect", "forward", "host", "length",
        "max_forwards", "request_id", "upgrade",
    )  # fmt: skip

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._fields = fields
        self._values: dict[bytes, tuple[bytes, ...]] = {}
        self._quoted: dict[bytes, bytes] = {}
        self.host = b""  # lower case, without port and trailing dot: the routing key
        self.authority: bytes | None = None  # as received
        self.forward = b""  # the fields an endpoint gets, framing included, without the final CRLF
        self.length = 0  # of the body, or CHUNKED
        self.close = False
        self.expect = False
        self.upgrade = False  # a WebSocket upgrade is asked for
        self.max_forwards = b""
        self.request_id = b""

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of a field (name in lower case), without surrounding white space."""
        found = self._values.get(name)
        if found is None:
            found = tuple(value.strip(b" \t") for key, value in self._fields if key.lower() == name)
            self._values[name] = found
        return found

    def quoted(self, name: bytes) -> bytes:
        """Return the first value of a field as a JSON string, "" without one; for the log."""
        found = self._quoted.get(name)
        if found is None:
            values = self.values(name)
            # Octets beyond ASCII have no meaning we know: latin-1 keeps them apart
            found = msgspec.json.encode(values[0].decode("latin-1") if values else "")
            self._quoted[name] = found
        return found


def parse_headers(block: bytes) -> RequestHeaders:
    """Return what a header block means; `block` ends with the CRLF of its last line.

    Raises RequestError for everything whose framing or meaning two servers could read differently.
    """
    if FIELD_LINES.fullmatch(block) is None:
        raise bad_block(block)
    if len(block) > limits.MAX_LINE_BYTES and max(map(len, block.split(b"\r\n"))) > limits.MAX_LINE_BYTES:
        raise RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
    fields = FIELD.findall(block)
    if len(fields) > limits.MAX_FIELDS:
        raise RequestError(431, f"more than {limits.MAX_FIELDS} header fields")
    headers = RequestHeaders(fields)
    end_to_end: list[tuple[bytes, bytes, bytes]] = []
    special: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        lower = name.lower()
        value = value.strip(b" \t")
        if lower in _SPECIAL:
            special.setdefault(lower, []).append(value)
            if lower == b"max-forwards":
                end_to_end.append((lower, name, value))
        elif not lower.startswith(_TRUSTED_HOP_PREFIXES):
            end_to_end.append((lower, name, value))
    nominated = _read_connection(headers, special)
    _read_host(headers, special.get(b"host"))
    _read_framing(headers, special)
    _read_upgrade(headers, special)
    _read_others(headers, special)
    headers.forward = _forward(headers, end_to_end, nominated)
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
        headers.upgrade = b"websocket" in (protocol.strip(b" \t") for protocol in protocols)


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


def _forward(
    headers: RequestHeaders, end_to_end: list[tuple[bytes, bytes, bytes]], nominated: frozenset[bytes]
) -> bytes:
    authority = headers.authority or b""
    lines = [b"Host: %b\r\n" % authority]
    lines += [b"%b: %b\r\n" % (name, value) for lower, name, value in end_to_end if lower not in nominated]
    if headers.length == CHUNKED:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif headers.length or any(name.lower() == b"content-length" for name, _ in headers._fields):
        lines.append(b"Content-Length: %d\r\n" % headers.length)
    lines.append(b"X-Forwarded-Host: %b\r\n" % authority)
    return b"".join(lines)


def bad_block(block: bytes) -> RequestError:
    """Say what is wrong with a block that FIELD_LINES refuses."""
    for line in block.split(b"\r\n"):
        if len(line) > limits.MAX_LINE_BYTES:
            return RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
        if b"\n" in line or b"\r" in line:
            return RequestError(400, "a header line has a bare CR or LF")
        if line[:1] in (b" ", b"\t"):
            return RequestError(400, "a header line is folded")
        name, colon, _ = line.partition(b":")
        if line and not colon:
            return RequestError(400, "a header line has no colon")
        if b"_" in name:
            return RequestError(400, "a header name has an underscore")
        if line and FIELD_LINES.fullmatch(line + b"\r\n") is None:
            return RequestError(400, "a header line has a forbidden character")
    return RequestError(400, "the header block is malformed")
