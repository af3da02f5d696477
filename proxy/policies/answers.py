"""Answers that a route gives itself: redirects, fixed responses, refusals."""

from abc import ABC, abstractmethod

from proxy.http.grammar import HOST
from proxy.http.replies import OwnResponse, own_response, refusal
from proxy.model.actions import FixedResponse, Redirect
from proxy.policies.asked import DEFAULT_PORTS, Asked
from proxy.policies.errors import demand
from proxy.policies.template import NOT_IN_PATH, NOT_IN_QUERY, NOT_IN_URL, Template, escaped
from proxy.validation.actions import of_fixed, of_redirect


class OwnAnswer(ABC):
    """An answer of the gateway, without an endpoint."""

    __slots__ = ("status",)

    status: int

    @abstractmethod
    def message(self, asked: Asked, request_id: bytes, fields: bytes) -> OwnResponse:
        """Return the response as head and body; `fields` are further lines of the head."""


class Refusal(OwnAnswer):
    """A status and one sentence, as in all refusals of the gateway."""

    __slots__ = ("_detail",)

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self._detail = detail

    def message(self, asked: Asked, request_id: bytes, fields: bytes) -> OwnResponse:
        return refusal(self.status, request_id, self._detail)


class FixedAnswer(OwnAnswer):
    """A fixed response, the same for every request."""

    __slots__ = ("_content", "_fields")

    def __init__(self, config: FixedResponse) -> None:
        """Check `config`, and encode the answer. Raises PolicyError."""
        demand(of_fixed(config))
        self.status = config.status
        self._content = config.content.encode()
        self._fields = b""
        if config.content_type and self._content:
            content_type = config.content_type
            if not config.content.isascii() and "charset" not in content_type.lower():
                content_type += "; charset=utf-8"
            self._fields = b"Content-Type: %b\r\n" % content_type.encode()

    def message(self, asked: Asked, request_id: bytes, fields: bytes) -> OwnResponse:
        return own_response(self.status, self._fields + fields, self._content)


class RedirectAnswer(OwnAnswer):
    """A Location made from parts of the request."""

    __slots__ = ("_host", "_location", "_path", "_port", "_protocol", "_query")

    def __init__(self, config: Redirect) -> None:
        """Check `config`, and compile the Location. Raises PolicyError."""
        demand(of_redirect(config))
        self.status = config.status
        self._location = Template(config.location) if config.location else None
        self._protocol = Template(config.protocol.lower())
        self._host = Template(config.host)
        self._port = Template(config.port)
        self._path = Template(config.path)
        self._query = Template(config.query)

    @property
    def has_groups(self) -> bool:
        templates = (self._host, self._path, self._query, self._location)
        return any(template is not None and template.has_groups for template in templates)

    def message(self, asked: Asked, request_id: bytes, fields: bytes) -> OwnResponse:
        lines = b"Location: %b\r\n%b" % (self.location(asked), fields)
        return own_response(self.status, lines, b"")

    def location(self, asked: Asked) -> bytes:
        if self._location is not None:
            return escaped(self._location.expand(asked), NOT_IN_URL)
        # Exactly one slash at its begin: browsers read the text behind two slashes as another server
        path = b"/" + escaped(self._path.expand(asked, keeps_slashes=True), NOT_IN_PATH).lstrip(b"/")
        query = escaped(self._query.expand(asked), NOT_IN_QUERY).strip(b"&")
        origin = self._origin(asked)
        return b"%b%b?%b" % (origin, path, query) if query else origin + path

    def _origin(self, asked: Asked) -> bytes:
        """Return scheme, host and port; b"" when there is no usable host: the Location is on the same server.

        A port that the host brings is the port: it is not written twice.
        """
        protocol = self._protocol.expand(asked)
        host = HOST.fullmatch(self._host.expand(asked))
        if protocol not in DEFAULT_PORTS or host is None:
            return b""
        port = host[2] or self._port_for(protocol, asked)
        if port == DEFAULT_PORTS[protocol] or not port.isdigit():
            return b"%b://%b" % (protocol, host[1])
        return b"%b://%b:%b" % (protocol, host[1], port)

    def _port_for(self, protocol: bytes, asked: Asked) -> bytes:
        port = self._port.expand(asked)
        if self._port.text == "${port}" and port == DEFAULT_PORTS[asked.scheme]:
            return DEFAULT_PORTS[protocol]  # the default stays the default: http://a/ becomes https://a/
        return port


def own_answer(config: FixedResponse | Redirect) -> OwnAnswer:
    """Return the answer of a policy. Raises PolicyError."""
    return RedirectAnswer(config) if isinstance(config, Redirect) else FixedAnswer(config)
