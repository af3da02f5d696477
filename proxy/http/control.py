"""The control fields of a request: its host, its framing, and the further use of its connection.

Most heads of one client differ only in fields that are passed on, so the meaning of the control fields
is remembered by their lines. Field rules, in this order (RFC 9110 §7.6.1): framing is read, hop-by-hop
fields and fields that `Connection` names are removed, fields that only a trusted hop may set are removed,
our own fields are added last, so that no client can name them in `Connection` (CVE-2024-45410).
"""

import re
from typing import Final

import msgspec

from proxy.http import limits, loops
from proxy.http.errors import RequestError
from proxy.http.fields import DROP, Field
from proxy.http.framing import CHUNKED
from proxy.http.grammar import CODED, DIGITS, HOST, TOKEN_LIST

_PLAIN_JSON: Final = re.compile(rb"[ !#-\[\]-~]*+")

Values = dict[bytes, list[bytes]]
"""Values of fields by name in lower case, in the order of their lines."""


class Control:
    """The work done once for a set of control fields. Immutable."""

    __slots__ = (
        "authority", "close", "end", "expect", "host", "is_coded", "is_plain", "length", "log",
        "max_forwards", "nominated", "passed", "start", "upgrade",
    )  # fmt: skip

    def __init__(self) -> None:
        self.host = b""  # lower case, without port and trailing dot: the routing key
        self.authority: bytes | None = None  # as received
        self.length = 0  # bytes of the body, or CHUNKED
        self.is_coded = False  # whether a transfer coding lies below the chunks, which is to be refused
        self.close = False
        self.expect = False
        self.upgrade = False  # the client asks for a WebSocket upgrade
        self.max_forwards = b""
        self.passed = b""  # values of CDN-Loop, in lower case: the gateways before this one
        self.nominated: frozenset[bytes] = frozenset()  # names in Connection, but for known hop-by-hop ones
        self.is_plain = False  # a host, no body, and nothing out of the ordinary
        self.start = b""  # lines before and after the fields that are passed on
        self.end = b""
        self.log = b""  # members of the log line


def read_control(fields: list[Field]) -> Control:
    """Return the meaning of the control fields among `fields`. Raises RequestError for fields whose
    framing or meaning two servers could read differently."""
    values: Values = {}
    for field in fields:
        if field.rule != DROP:
            values.setdefault(field.name, []).append(field.value)
    control = Control()
    _read_connection(control, values)
    _read_host(control, values.get(b"host"))
    _read_framing(control, values)
    _read_upgrade(control, values)
    _read_others(control, values)
    authority = control.authority or b""
    control.start = b"Host: %b\r\n" % authority
    control.end = b"%bX-Forwarded-Host: %b\r\n" % (_framing(control, values), authority)
    control.log = _log_members(authority, values.get(b"user-agent"))
    control.is_plain = (
        control.authority is not None
        and control.length == 0
        and not (control.upgrade or control.expect or control.close or control.max_forwards)
    )
    return control


def _read_connection(control: Control, values: Values) -> None:
    lines = values.get(b"connection")
    if lines is None:
        return
    value = b",".join(lines).lower()
    if TOKEN_LIST.fullmatch(value) is None:
        raise RequestError(400, "Connection is not a list of tokens")
    options = frozenset(option.strip(b" \t") for option in value.split(b","))
    # RFC 9110 §7.6.1: naming these would change where the message ends or goes
    if b"content-length" in options or b"host" in options:
        raise RequestError(400, "Connection names a field that must reach the endpoint")
    control.close = b"close" in options
    control.upgrade = b"upgrade" in options
    control.nominated = options - {b"keep-alive", b"upgrade", b""}


def _read_host(control: Control, lines: list[bytes] | None) -> None:
    if lines is None:
        return
    if len(lines) > 1:
        raise RequestError(400, "more than one Host field")
    match = HOST.fullmatch(lines[0])
    if match is None or int(match.group(2) or 0) > 65535:
        raise RequestError(400, "Host is not a host name and port")
    control.authority = lines[0]
    host: bytes = match.group(1).lower()
    control.host = host[:-1] if host.endswith(b".") and len(host) > 1 else host


def _read_framing(control: Control, values: Values) -> None:
    # RFC 9112 §6: any doubt about where the body ends is refused
    codings = values.get(b"transfer-encoding")
    lengths = values.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            raise RequestError(400, "both Transfer-Encoding and Content-Length")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            if len(codings) > 1 or CODED.fullmatch(codings[0].lower()) is None:
                raise RequestError(400, "Transfer-Encoding is not exactly chunked")
            control.is_coded = True  # RFC 9112 §6.1: 501, but in HTTP/1.0 any Transfer-Encoding is a fault
        control.length = CHUNKED
    elif lengths is not None:
        if len(lengths) > 1:
            raise RequestError(400, "more than one Content-Length field")
        if DIGITS.fullmatch(lengths[0]) is None:
            raise RequestError(400, "Content-Length is not a decimal number")
        control.length = int(lengths[0])
        if control.length > limits.MAX_CONTENT_LENGTH:
            raise RequestError(413, f"the body is larger than {limits.MAX_CONTENT_LENGTH} bytes")


def _read_upgrade(control: Control, values: Values) -> None:
    if control.upgrade:
        protocols = b",".join(values.get(b"upgrade", [])).lower().split(b",")
        # The one allowed protocol: h2c would let requests pass unseen (CVE-2026-88008)
        control.upgrade = b"websocket" in [protocol.strip(b" \t") for protocol in protocols]


def _read_others(control: Control, values: Values) -> None:
    expectations = values.get(b"expect")
    if expectations is not None:
        if any(value.lower() != b"100-continue" for value in expectations):
            raise RequestError(417, "the only expectation is 100-continue")
        control.expect = control.length != 0
    passed = values.get(loops.FIELD)
    if passed is not None:
        control.passed = b",".join(passed).lower()
    hops = values.get(b"max-forwards")
    if hops is not None:
        control.max_forwards = hops[0]


def _framing(control: Control, values: Values) -> bytes:
    if control.length == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % control.length if b"content-length" in values else b""


def _log_members(authority: bytes, agents: list[bytes] | None) -> bytes:
    agent = b'""'
    if agents is not None:
        agent = b'"%b"' % agents[0]
        if _PLAIN_JSON.fullmatch(agents[0]) is None:
            # Octets beyond ASCII have no meaning we know: latin-1 keeps them apart
            agent = msgspec.json.encode(agents[0].decode("latin-1"))
    return b'"host":"%b","ua":%b' % (authority, agent)
