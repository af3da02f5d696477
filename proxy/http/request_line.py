"""The request line: method, target, version. Parsed for every request; targets seldom repeat."""

from typing import Final

from proxy.http import limits
from proxy.http.errors import RequestError
from proxy.http.grammar import COMMON_REQUEST_LINE, END_OF_REQUEST_LINE, HOST, REQUEST_LINE
from proxy.http.memo import Memo
from proxy.http.opening import other_protocol
from proxy.http.path import as_matched, resolve
from proxy.http.readings import Readings, readings

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 §9.2.2
_REFUSED: Final = frozenset((b"CONNECT", b"TRACE"))
_VERSION_BYTES: Final = len(b" HTTP/1.1")
_PREFACE: Final = b"PRI * HTTP/2.0"  # RFC 9113 §3.4


HTTP_2: Final = 2
"""The version of a line that came in HTTP/2, as pseudo-header fields."""


class Resource:
    """A method and a path, which many requests share. Immutable, remembered."""

    __slots__ = ("forward", "is_head", "is_idempotent", "log", "method", "path", "readings")

    def __init__(
        self, method: bytes, path: bytes, sent_path: bytes, path_readings: Readings | None = None
    ) -> None:
        """Check the method. Raises RequestError for methods that are not served."""
        if method in _REFUSED:
            raise RequestError(405, f"{method.decode()} is not served by a reverse proxy")
        self.method = method
        self.path = path  # matched by routes
        self.readings = path_readings
        self.forward = b"%b %b" % (method, sent_path)  # method and path as an endpoint gets them
        self.is_head = method == b"HEAD"
        self.is_idempotent = method in _IDEMPOTENT
        # Members of the log line; the grammar admits no other octet that needs escaping in JSON
        self.log = b'"method":"%b","path":"%b"' % (method, sent_path.replace(b'"', b'\\"'))

    @property
    def sent_path(self) -> bytes:
        """The path that an endpoint gets."""
        return self.forward[len(self.method) + 1 :]


class RequestLine:
    """Immutable; remembered by its bytes for clients that ask for the same thing again."""

    __slots__ = ("authority", "forward", "query", "resource", "version")

    def __init__(
        self, resource: Resource, query: bytes, version: int, authority: bytes | None = None
    ) -> None:
        """`query` with its question mark, or b""."""
        self.resource = resource
        self.query = query
        self.forward = b"%b%b HTTP/1.1\r\n" % (resource.forward, query)  # the line as an endpoint gets it
        self.version = version  # 0 and 1: of HTTP/1.0 and HTTP/1.1; HTTP_2
        self.authority = authority  # of a target in absolute form

    def without_reference(self) -> "RequestLine":
        """Return the line with one slash before the path: no server takes it for a URL reference."""
        asked = self.resource
        resource = Resource(asked.method, asked.path, b"/" + asked.sent_path.lstrip(b"/"))
        return RequestLine(resource, self.query, self.version, self.authority)


class HttpsRequestLine(RequestLine):
    """A line whose target is an https URL. A class, because every request would have to set a member."""

    __slots__ = ()


_resources: Final[Memo[Resource]] = Memo()
"""Resources by the bytes of the line before the query."""


def parse_request_line(line: bytes) -> RequestLine:
    """Return the parsed line (without CRLF). Raises RequestError."""
    mark = line.find(b"?")
    if mark > 0 and len(line) <= limits.MAX_LINE_BYTES:
        start = line[:mark]
        resource = _resources.young.get(start) or _resources.again(start)
        if resource is not None and END_OF_REQUEST_LINE.fullmatch(line, mark) is not None:
            return RequestLine(resource, line[mark:-_VERSION_BYTES], 1)
    match = COMMON_REQUEST_LINE.fullmatch(line)
    if match is None or len(line) > limits.MAX_LINE_BYTES:
        return _parse_any(line)
    method, path, query = match.groups(b"")
    resource = _unusual(method, path) if _needs_work(path) else Resource(method, path, path)
    if query:
        _resources.offer(line[:mark], resource)
    return RequestLine(resource, query, 1)


def request_line_of(method: bytes, path: bytes) -> RequestLine:
    """Return the line of a request that came in HTTP/2. Raises RequestError.

    Method and target go through the grammar of HTTP/1: it admits no white space in them, so the line that
    endpoints get has exactly these parts.
    """
    line = parse_request_line(b"%b %b HTTP/1.1" % (method, path))
    line.version = HTTP_2
    return line


def _needs_work(path: bytes) -> bool:
    return b"%" in path or b"//" in path or b"/." in path


def _unusual(method: bytes, path: bytes) -> Resource:
    sent_path = resolve(path)
    return Resource(method, as_matched(sent_path), sent_path, readings(sent_path))


def _parse_any(line: bytes) -> RequestLine:
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise bad_request_line(line)
    method, target, major, minor = match.groups()
    if major != b"1":
        if line == _PREFACE:
            raise RequestError(400, "HTTP/2 begins with a connection, without TLS, or by ALPN with TLS")
        raise RequestError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if len(line) > limits.MAX_LINE_BYTES:
        raise RequestError(414, f"the request line is longer than {limits.MAX_LINE_BYTES} bytes")
    authority, is_https = None, False
    if not target.startswith(b"/"):
        authority, is_https, target = _other_form(method, target)
    path, mark, query = target.partition(b"?")
    version = 0 if minor == b"0" else 1
    kind = HttpsRequestLine if is_https else RequestLine
    if path == b"*":
        line_of_all = kind(Resource(method, b"/", b"/"), b"", version, authority)
        line_of_all.forward = b"%b * HTTP/1.1\r\n" % method
        return line_of_all
    return kind(_unusual(method, path), mark + query, version, authority)


def _other_form(method: bytes, target: bytes) -> tuple[bytes | None, bool, bytes]:
    """Return the parts of a target that is no path (RFC 9112 §3.2.2, §3.2.4): its authority, whether it is an
    https URL, and its origin-form or `*`."""
    if target == b"*" and method == b"OPTIONS":
        return None, False, target
    if method == b"CONNECT":
        raise RequestError(405, "CONNECT is not served by a reverse proxy")
    scheme, separator, rest = target.partition(b"://")
    scheme = scheme.lower()
    if not separator or scheme not in (b"http", b"https"):
        raise RequestError(400, "the request target is neither a path nor an http URL")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    if HOST.fullmatch(authority) is None:  # a user name is one more reason: RFC 9110 §4.2.4
        raise RequestError(400, "the authority of the request target is not a host and port")
    origin = rest[len(authority) :]
    if not origin and method == b"OPTIONS":
        origin = b"*"
    elif not origin.startswith(b"/"):
        origin = b"/" + origin
    return authority, scheme == b"https", origin


def bad_request_line(line: bytes) -> RequestError:
    """Return the error that names the fault of a line that is no request line."""
    parts = line.split(b" ")
    if len(line) > limits.MAX_LINE_BYTES and len(parts) > 1:
        return RequestError(414, f"the request line is longer than {limits.MAX_LINE_BYTES} bytes")
    return RequestError(
        400, other_protocol(line) or "the request line is not method, target and HTTP version"
    )
