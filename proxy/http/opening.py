"""Bytes that begin no HTTP/1 request: refused when they come, not when the time for a head is over.

A client of another protocol waits for an answer to its hello, often without ever sending a line end. Such a
client would wait for the head timeout, and its user would look for a fault of the network.
"""

import re
from typing import Final

from proxy.http.errors import RequestError

_PROTOCOLS: Final = (
    (b"\x16", "this port speaks plain HTTP, and the client began a TLS handshake, as for an https URL"),
    (b"SSH-", "this port speaks HTTP, and the client sent an SSH banner"),
    (b"PROXY ", "this port takes no PROXY protocol: switch it off at the load balancer"),
    # Version 2 of the PROXY protocol has it behind its two blank lines, many binary protocols begin with it
    (b"\x00", "this port speaks HTTP, and the client sent binary data, perhaps of the PROXY protocol"),
)
"""Other protocols by the first bytes of a connection, each with a sentence for the refusal."""
_SCHEMES: Final = (b"http://", b"https://")
_ENOUGH: Final = 64  # bytes that show whether a method and a target begin; longer methods are rare

_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_NOT_IN_REQUEST_LINE: Final = re.compile(rb"[^\x20-\x7e\r]|\r.", re.DOTALL)
_NOT_IN_FIELDS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]")


def check_opening(data: bytes, checked: int) -> None:
    """Refuse the begin of a request line, without a line end, that cannot become one. Raises RequestError.

    The first `checked` bytes have been looked at before.
    """
    if checked < _ENOUGH:
        start = data[:_ENOUGH]
        if not _may_begin(start):
            raise RequestError(400, other_protocol(start) or "what the client sent is no HTTP request")
    if _NOT_IN_REQUEST_LINE.search(data, max(checked - 1, 0)) is not None:
        raise RequestError(400, "the request line has a forbidden character")


def check_new_octets(data: bytes, checked: int) -> None:
    """Refuse octets that no field line may have, in an incomplete head with a request line."""
    if _NOT_IN_FIELDS.search(data, max(checked - 1, 0)) is not None:
        raise RequestError(400, "a header line has a forbidden character")


def other_protocol(data: bytes) -> str:
    """Return a sentence about the protocol that these bytes are the begin of, "" where it is not known."""
    for start, detail in _PROTOCOLS:
        if data.startswith(start):
            return detail
    return ""


def _may_begin(start: bytes) -> bool:
    method, _, target = start.partition(b" ")
    if start == b"\r":
        return True  # perhaps of a blank line
    if _METHOD.fullmatch(method.removesuffix(b"\r")) is None:
        return False
    if not target or target[0] in b"/*" or method == b"CONNECT":
        return True
    url = target.lower()
    return any(url.startswith(scheme) or scheme.startswith(url) for scheme in _SCHEMES)
