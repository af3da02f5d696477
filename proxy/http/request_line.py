"""The request line: method, target, version. Parsed for every request; targets seldom repeat."""

from typing import Final

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import HOST, REQUEST_LINE
from proxy.http.path import NEEDS_WORK, normalise

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 §9.2.2


class RequestLine:
    __slots__ = ("method", "path", "target", "version")

    def __init__(self, method: bytes, target: bytes, path: bytes, version: int) -> None:
        self.method = method
        self.target = target  # origin-form, normalised: what the endpoint gets
        self.path = path  # of the target: what routes match
        self.version = version  # minor version: 0 or 1


def parse_request_line(line: bytes) -> RequestLine:
    """Return the parsed line (without CRLF). Raises RequestError."""
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise bad_request_line(line)
    method, target, major, minor = match.groups()
    if major != b"1":
        raise RequestError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if len(line) > limits.MAX_LINE_BYTES:
        raise RequestError(414, f"the request line is longer than {limits.MAX_LINE_BYTES} bytes")
    path, mark, query = target.partition(b"?")
    if path[:1] != b"/":
        target, path, mark, query = _other_form(method, target)
    if method == b"CONNECT" or method == b"TRACE":
        raise RequestError(405, f"{method.decode()} is not served by a reverse proxy")
    if NEEDS_WORK.search(path):
        path = normalise(path)
        target = path + mark + query
    return RequestLine(method, target, path, 0 if minor == b"0" else 1)


def target_authority(line: bytes) -> bytes | None:
    """Return the authority of an absolute-form request line, None for the other forms."""
    target = line.split(b" ")[1]
    if target[:1] in (b"/", b"*"):
        return None
    return target.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]


def _other_form(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    # RFC 9112 §3.2.2, §3.2.4
    if target == b"*" and method == b"OPTIONS":
        return b"*", b"/", b"", b""
    if method == b"CONNECT":
        raise RequestError(405, "CONNECT is not served by a reverse proxy")
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() != b"http":
        raise RequestError(400, "the request target is neither a path nor an http URL")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    if HOST.fullmatch(authority) is None:  # a user name is one more reason: RFC 9110 §4.2.4
        raise RequestError(400, "the authority of the request target is not a host and port")
    origin = rest[len(authority) :]
    if not origin.startswith(b"/"):
        origin = b"/" + origin
    path, mark, query = origin.partition(b"?")
    return origin, path, mark, query


def bad_request_line(line: bytes) -> RequestError:
    """Say what is wrong with a line that is no request line."""
    parts = line.split(b" ")
    if len(line) > limits.MAX_LINE_BYTES and len(parts) > 1:
        return RequestError(414, f"the request line is longer than {limits.MAX_LINE_BYTES} bytes")
    return RequestError(400, "the request line is not method, target and HTTP version")


def is_idempotent(method: bytes) -> bool:
    return method in _IDEMPOTENT
