"""The request line: method, target, version. Parsed for every request; targets seldom repeat."""

from typing import Final

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import HOST, REQUEST_LINE
from proxy.http.path import NEEDS_WORK, normalise

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 §9.2.2


class RequestLine:
    """Immutable; remembered by its bytes for clients that ask for the same thing again."""

    __slots__ = (
        "authority",
        "is_head",
        "is_idempotent",
        "method",
        "path",
        "quoted_path",
        "target",
        "version",
    )

    def __init__(
        self, method: bytes, target: bytes, path: bytes, version: int, authority: bytes | None
    ) -> None:
        self.method = method
        self.target = target  # origin-form, normalised: what the endpoint gets
        self.path = path  # of the target: what routes match
        self.version = version  # minor version: 0 or 1
        self.authority = authority  # of a target in absolute form
        self.is_head = method == b"HEAD"
        self.is_idempotent = method in _IDEMPOTENT
        # As the inside of a JSON string; the grammar admits no other octet that needs escaping
        self.quoted_path = path.replace(b'"', b'\\"')


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
    authority = None
    if path[:1] != b"/":
        authority, target = _other_form(method, target)
        path, mark, query = target.partition(b"?")
    if method == b"CONNECT" or method == b"TRACE":
        raise RequestError(405, f"{method.decode()} is not served by a reverse proxy")
    if path == b"*":
        path = b"/"
    elif NEEDS_WORK.search(path):
        path = normalise(path)
        target = path + mark + query
    return RequestLine(method, target, path, 0 if minor == b"0" else 1, authority)


def _other_form(method: bytes, target: bytes) -> tuple[bytes | None, bytes]:
    """Return authority and origin-form of a target that is no path (RFC 9112 §3.2.2, §3.2.4)."""
    if target == b"*" and method == b"OPTIONS":
        return None, target
    if method == b"CONNECT":
        raise RequestError(405, "CONNECT is not served by a reverse proxy")
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() != b"http":
        raise RequestError(400, "the request target is neither a path nor an http URL")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    if HOST.fullmatch(authority) is None:  # a user name is one more reason: RFC 9110 §4.2.4
        raise RequestError(400, "the authority of the request target is not a host and port")
    origin = rest[len(authority) :]
    return authority, origin if origin.startswith(b"/") else b"/" + origin


def bad_request_line(line: bytes) -> RequestError:
    """Say what is wrong with a line that is no request line."""
    parts = line.split(b" ")
    if len(line) > limits.MAX_LINE_BYTES and len(parts) > 1:
        return RequestError(414, f"the request line is longer than {limits.MAX_LINE_BYTES} bytes")
    return RequestError(400, "the request line is not method, target and HTTP version")
