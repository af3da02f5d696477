"""The request as an endpoint gets it: rewritten, with changed headers."""

from typing import Final

from proxy.http.fields import VOUCHED, rule_of
from proxy.http.request_headers import RequestHeaders
from proxy.policies.asked import Asked
from proxy.policies.changes import Changes
from proxy.policies.rewrite import Rewriter

_MAX_REMEMBERED: Final = 256
_OF_BODY_AND_ERROR: Final = (b"content-", b"transfer-encoding:", b"x-code:", b"x-format:")
OWN_FIELDS: Final = frozenset(
    (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-client-port",
     b"x-request-id")
)  # fmt: skip
"""Fields that are written anew for every request; fields that a trusted proxy vouches for stand among them.
X-Forwarded-Host belongs to the block.
"""


class RequestChanges:
    """The changes of one route. Header blocks that repeat are remembered with their changes."""

    __slots__ = ("_changes", "_changes_own", "_is_repeatable", "_remembered", "_rewriter")

    def __init__(self, rewriter: Rewriter | None, changes: Changes | None) -> None:
        self._rewriter = rewriter
        self._changes = changes
        self._changes_own = changes is not None and any(_is_own(name) for name in changes.names)
        self._is_repeatable = (
            not self._changes_own
            and (changes is None or not changes.is_per_request)
            and (rewriter is None or not rewriter.has_host)
        )
        self._remembered: dict[RequestHeaders, bytes] = {}

    @property
    def has_groups(self) -> bool:
        """Whether the changes refer to the part that the route's expression matched."""
        return (self._rewriter is not None and self._rewriter.has_groups) or (
            self._changes is not None and self._changes.has_groups
        )

    def line(self, asked: Asked) -> bytes:
        """Return the request line. Raises RequestError for a path that no request can have."""
        return asked.line.forward if self._rewriter is None else self._rewriter.line(asked)

    def fields(self, asked: Asked, own: bytes) -> bytes:
        """Return all field lines; `own` are lines that the gateway adds to every request."""
        headers = asked.headers
        if not self._is_repeatable or not headers.is_remembered:
            if self._changes_own:
                return self._changed(headers.forward + own, asked)
            return self._changed(headers.forward, asked) + own
        block = self._remembered.get(headers)
        if block is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            block = self._remembered[headers] = self._changed(headers.forward, asked)
        return block + own

    def _changed(self, block: bytes, asked: Asked) -> bytes:
        lines = block.split(b"\r\n")
        lines.pop()
        if self._rewriter is not None and self._rewriter.has_host:
            lines[0] = b"Host: %b" % self._rewriter.host(asked)  # Host always comes first: http.control
        if self._changes is not None:
            lines = self._changes.apply(lines, asked)
        lines.append(b"")
        return b"\r\n".join(lines)


def _is_own(name: bytes) -> bool:
    return name in OWN_FIELDS or rule_of(name) == VOUCHED


def without_body(block: bytes) -> bytes:
    """Return the field lines of a request without its body, for the backend of an error page.

    A client's own fields about the error are left out.
    """
    lines = block.split(b"\r\n")
    kept = [line for line in lines if not line[:18].lower().startswith(_OF_BODY_AND_ERROR)]
    return b"\r\n".join(kept)
