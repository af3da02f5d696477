"""The request line: method, target, version. Parsed for every request; targets seldom repeat."""

from typing import Final

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import COMMON_REQUEST_LINE, END_OF_REQUEST_LINE, HOST, REQUEST_LINE
from proxy.http.memo import Memo
from proxy.http.path import normalise

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 §9.2.2
_REFUSED: Final = frozenset((b"CONNECT", b"TRACE"))
_VERSION_BYTES: Final = len(b" HTTP/1.1")


class Resource:
    """A method and a normalised path: what most requests have in common. Immutable, remembered."""

    __slots__ = ("forward", "is_head", "is_idempotent", "log", "method", "path")

    def __init__(self, method: bytes, path: bytes) -> None:
        """Raises RequestError for methods that are not served."""
        if method in _REFUSED:
            raise RequestError(405, f"{method.decode()} is not served by a reverse proxy")
        self.method = method
        self.path = path  # what routes match
        self.forward = b"%b %b" % (method, path)
        self.is_head = method == b"HEAD"
        self.is_idempotent = method in _IDEMPOTENT
        # Members of the log line; the grammar admits no other octet that needs escaping in JSON
        self.log = b'"method":"%b","scheme":"http","path":"%b"' % (method, path.replace(b'"', b'\\"'))


class RequestLine:
    """Immutable; remembered by its bytes for clients that ask for the same thing again."""

    __slots__ = ("authority", "forward", "query", "resource", "version")

    def __init__(self, resource: Resource, query: bytes, version: int, authority: bytes | None) -> None:
        """`query` with its question mark, or b""."""
        self.resource = resource
        self.query = query
        self.forward = b"%b%b HTTP/1.1\r\n" % (resource.forward, query)  # what the endpoint gets
        self.version = version  # minor version: 0 or 1
        self.authority = authority  # of a target in absolute form


_resources: Final[Memo[Resource]] = Memo()
"""By what stands before the query."""


def parse_request_line(line: bytes) -> RequestLine:
    """Return the parsed line (without CRLF). Raises RequestError."""
    mark = line.find(b"?")
    if mark > 0 and len(line) <= limits.MAX_LINE_BYTES:
        start = line[:mark]
        resource = _resources.young.get(start) or _resources.again(start)
        if resource is not None and END_OF_REQUEST_LINE.fullmatch(line, mark) is not None:
            return RequestLine(resource, line[mark:-_VERSION_BYTES], 1, None)
    match = COMMON_REQUEST_LINE.fullmatch(line)
    if match is None or len(line) > limits.MAX_LINE_BYTES:
        return _parse_any(line)
    method, path, query = match.groups(b"")
    resource = Resource(method, normalise(path) if _needs_work(path) else path)
    if query:
        _resources.offer(line[:mark], resource)
    return RequestLine(resource, query, 1, None)


def _needs_work(path: bytes) -> bool:
    return b"%" in path or b"//" in path or b"/." in path


def _parse_any(line: bytes) -> RequestLine:
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
    version = 0 if minor == b"0" else 1
    if path == b"*":
        line_of_all = RequestLine(Resource(method, b"/"), b"", version, authority)
        line_of_all.forward = b"%b * HTTP/1.1\r\n" % method
        return line_of_all
    path = normalise(path) if _needs_work(path) else path
    return RequestLine(Resource(method, path), mark + query, version, authority)


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
