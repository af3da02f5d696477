"""The rewritten request: host, path, query."""

from proxy.http.grammar import HOST
from proxy.http.path import merge_slashes, resolve
from proxy.model.policies import PathRewriteKind, Rewrite
from proxy.model.snapshot import PathKind, PathMatch
from proxy.policies.asked import Asked
from proxy.policies.errors import demand
from proxy.policies.template import NOT_IN_PATH, NOT_IN_QUERY, Template, escaped
from proxy.validation.policies import of_rewrite


class Rewriter:
    """A Rewrite of the requests that took a route with this path."""

    __slots__ = ("_host", "_is_matched", "_path", "_prefix", "_query")

    def __init__(self, config: Rewrite, path: PathMatch) -> None:
        """Compile `config` for routes with this path. Raises PolicyError."""
        demand(of_rewrite(config))
        self._host = Template(config.host) if config.host else None
        self._path = Template(config.path) if config.path else None
        self._query = Template(config.query) if config.query is not None else None
        self._is_matched = config.path_kind is PathRewriteKind.MATCHED
        self._prefix = (path.value.rstrip("/") if path.kind is PathKind.PREFIX else path.value).encode()

    @property
    def has_groups(self) -> bool:
        """Whether the rewrite refers to the part that the route's expression matched."""
        templates = (self._host, self._path, self._query)
        if self._is_matched and self._path is not None:
            return True
        return any(template is not None and template.has_groups for template in templates)

    @property
    def has_host(self) -> bool:
        return self._host is not None

    def line(self, asked: Asked) -> bytes:
        """Return the request line with its CRLF. Raises RequestError for a path above the root."""
        line = asked.line
        if asked.is_for_server or (self._path is None and self._query is None):
            return line.forward
        path = asked.sent_path if self._path is None else self._rewritten(self._path.expand(asked), asked)
        query = asked.query
        if self._query is not None:
            query = escaped(self._query.expand(asked), NOT_IN_QUERY).strip(b"&")
        if query:
            return b"%b %b?%b HTTP/1.1\r\n" % (asked.method, path, query)
        return b"%b %b HTTP/1.1\r\n" % (asked.method, path)

    def host(self, asked: Asked) -> bytes:
        """Return the Host for the endpoint; the client's where the template gives no host name."""
        if self._host is not None:
            host = self._host.expand(asked)
            if HOST.fullmatch(host) is not None:
                return host
        return asked.headers.control.authority or b""

    def _rewritten(self, value: bytes, asked: Asked) -> bytes:
        if self._is_matched:
            rest = self._unmatched(asked)
            value += rest.removeprefix(b"/") if value.endswith(b"/") else rest
        # Groups may join to a dot segment: the endpoint gets the one normal form
        return merge_slashes(resolve(escaped(b"/" + value.lstrip(b"/"), NOT_IN_PATH)))

    def _unmatched(self, asked: Asked) -> bytes:
        """Return the path behind the matched part, encoded as it came where its place is certain."""
        taken = asked.groups[0] if asked.groups else self._prefix
        path = asked.plain_path
        return (path if path.startswith(taken) else asked.path)[len(taken) :]
