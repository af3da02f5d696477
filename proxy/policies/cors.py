"""Cross-origin resource sharing: preflights are answered, other responses get the gateway's fields.

As the Fetch standard has it: a browser that sends credentials takes neither `*` for its origin nor for
methods and headers, so then the answer repeats the requested values. A response that depends on the origin
says so (Vary), for caches on the way.
"""

import re
from typing import Final

from proxy.http.grammar import TOKEN_LIST
from proxy.http.replies import OwnResponse, own_response
from proxy.model.policies import Cors
from proxy.policies.answers import OwnAnswer
from proxy.policies.asked import Asked
from proxy.policies.errors import demand
from proxy.routing.patterns import Regex, compile_regex, origin_pattern
from proxy.validation.policies import of_cors

VARY_ORIGIN: Final = b"Vary: Origin\r\n"
RESPONSE_FIELDS: Final = frozenset(
    b"access-control-" + name
    for name in (b"allow-origin", b"allow-credentials", b"allow-methods", b"allow-headers",
                 b"expose-headers", b"max-age", b"allow-private-network")
)  # fmt: skip
"""Fields of CORS. On a route with a policy they come from the gateway: an endpoint's own are dropped."""

_CREDENTIALS: Final = b"Access-Control-Allow-Credentials: true\r\n"
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")


class CorsPolicy(OwnAnswer):
    """The policy, and its answer to preflights."""

    __slots__ = (
        "_any", "_config", "_exact", "_expose", "_headers", "_max_age", "_methods", "_patterns",
        "varies",
    )  # fmt: skip

    def __init__(self, config: Cors) -> None:
        """Check and compile `config`. Raises PolicyError."""
        demand(of_cors(config))
        self.status = 204
        self._config = config
        self._any = "*" in config.origins
        self._exact = frozenset(origin.lower().encode() for origin in config.origins if "*" not in origin)
        wild = [origin for origin in config.origins if "*" in origin and origin != "*"]
        self._patterns: list[Regex] = [
            compile_regex(origin_pattern(origin), ignore_case=True) for origin in wild
        ]
        self._methods = _list(config.methods)
        self._headers = _list(config.headers)
        self._expose = b""
        if config.expose_headers:
            self._expose = b"Access-Control-Expose-Headers: %b\r\n" % _list(config.expose_headers)
        self._max_age = b""
        if config.max_age_s is not None:
            self._max_age = b"Access-Control-Max-Age: %d\r\n" % config.max_age_s
        self.varies = not self._any or config.credentials  # with the Origin

    def is_preflight(self, asked: Asked) -> bool:
        return (
            asked.method == b"OPTIONS"
            and bool(asked.headers.values(b"origin"))
            and bool(asked.headers.values(b"access-control-request-method"))
        )

    def lines(self, asked: Asked) -> bytes:
        """Return the field lines of a response that is no preflight's, but for Vary."""
        permission = self._permission(asked)
        return permission + self._expose if permission else b""

    def message(self, asked: Asked, request_id: bytes, fields: bytes) -> OwnResponse:
        """Answer a preflight. Without the fields of a permission the browser goes no further."""
        vary = b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
        lines = vary + fields
        permission = self._permission(asked)
        if permission:
            lines += permission + self._allowed(asked) + self._max_age
        return own_response(self.status, lines, b"")

    def _permission(self, asked: Asked) -> bytes:
        """Return the lines that permit the request's origin, b"" where it is not permitted."""
        origins = asked.headers.values(b"origin")
        if len(origins) != 1:
            return b""
        origin = origins[0]
        if self._any and not self._config.credentials:
            return b"Access-Control-Allow-Origin: *\r\n"
        if not self._admits(origin):
            return b""
        line = b"Access-Control-Allow-Origin: %b\r\n" % origin
        return line + _CREDENTIALS if self._config.credentials else line

    def _admits(self, origin: bytes) -> bool:
        if self._any or origin.lower() in self._exact:
            return True
        return any(pattern.fullmatch(origin) is not None for pattern in self._patterns)

    def _allowed(self, asked: Asked) -> bytes:
        methods, headers = self._methods, self._headers
        if not methods or (methods == b"*" and self._config.credentials):
            methods = asked.header(b"access-control-request-method")
            if _METHOD.fullmatch(methods) is None:
                methods = b""
        if not headers or (headers == b"*" and self._config.credentials):
            headers = asked.header(b"access-control-request-headers")
            if TOKEN_LIST.fullmatch(headers) is None:
                headers = b""
        lines = b"Access-Control-Allow-Methods: %b\r\n" % methods if methods else b""
        return lines + b"Access-Control-Allow-Headers: %b\r\n" % headers if headers else lines


def _list(names: tuple[str, ...]) -> bytes:
    return b"*" if "*" in names else ", ".join(names).encode()
