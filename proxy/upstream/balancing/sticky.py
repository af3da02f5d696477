"""Sticky sessions: a cookie that only the gateway can make names the endpoint, for as long as it serves.

A cookie leads into no cluster that does not serve the route: as soon as the clusters before a standby serve
again, they take over its sessions.

INSERT: the cookie is ours. REWRITE: it is the endpoint's own; its value goes to the client as id~value, and
back to the endpoint without the id.
"""

import re
from collections.abc import Sequence
from typing import Final

from proxy.http.request_headers import RequestHeaders
from proxy.http.response import ResponseHead
from proxy.model import actions
from proxy.model.actions import StickyMode
from proxy.policies.errors import demand
from proxy.routing.parameters import CookieName
from proxy.upstream.balancing.choice import BackendChoice, Choice
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.service import LiveService
from proxy.validation.actions import of_sticky

_COOKIE_LINE: Final = re.compile(rb"^Cookie:[^\r]*+", re.IGNORECASE | re.MULTILINE)


class Session(Choice):
    """The choice of a request whose session is with an endpoint: this endpoint comes first."""

    __slots__ = ("_choice", "endpoint")

    def __init__(self, endpoint: LiveEndpoint, choice: Choice) -> None:
        self.service = choice.service
        self.endpoint = endpoint
        self._choice = choice

    def first(self) -> LiveEndpoint | None:
        return self.endpoint

    def following(
        self, tried: list[LiveEndpoint], *, attempts: int, stay: bool, within: Sequence[str] = ()
    ) -> LiveEndpoint | None:
        return self._choice.following(tried, attempts=attempts, stay=stay, within=within)

    def beside(self, tried: list[LiveEndpoint], *, within: Sequence[str] = ()) -> LiveEndpoint | None:
        """A session is worth waiting for: it ends when its endpoint fails, not when that is slow."""
        return self._choice.beside(tried, within=within) if self.endpoint not in tried else None

    def instead(self, suspect: LiveEndpoint, now: float) -> LiveEndpoint | None:
        return None  # as for keys

    def service_of(self, endpoint: LiveEndpoint) -> LiveService | None:
        return self._choice.service_of(endpoint)

    def beside_quiet(self, endpoint: LiveEndpoint) -> LiveEndpoint:
        return endpoint


class StickySessions:
    """The sessions of a route."""

    __slots__ = ("_attributes", "_cookie", "_inserts", "_name", "_prefix", "_set")

    def __init__(self, sticky: actions.Sticky) -> None:
        """Prepare the cookies that `sticky` describes. Raises PolicyError."""
        demand(of_sticky(sticky))
        self._name = sticky.cookie.encode()
        self._inserts = sticky.mode is StickyMode.INSERT
        self._cookie = CookieName(sticky.cookie)
        self._attributes = b"; Path=%b" % sticky.path.encode()
        if sticky.max_age_s is not None:
            self._attributes += b"; Max-Age=%d" % sticky.max_age_s
        self._attributes += b"; HttpOnly"
        name = re.escape(self._name)
        self._prefix = re.compile(rb"([:;][ \t]*+" + name + rb'[ \t]*+=[ \t]*+"?)[0-9a-f]{16}~')
        self._set = re.compile(
            rb"^(Set-Cookie:[ \t]*+" + name + rb'[ \t]*+=[ \t]*+"?)', re.IGNORECASE | re.MULTILINE
        )

    def find(
        self, headers: RequestHeaders, backends: Sequence[BackendChoice]
    ) -> tuple[LiveEndpoint, BackendChoice] | None:
        """Return the endpoint of the session and its backend; None where that may not serve any more."""
        for field in headers.values(b"cookie"):
            for value in self._cookie.values(field):
                named = value if self._inserts else value.partition(b"~")[0]
                for backend in backends:
                    split = backend.serving()
                    found = split.service.by_name(named)
                    if found is not None and found.is_chosen() and split.keeps(found.cluster):
                        return found, backend
        return None

    def stripped(self, headers: RequestHeaders) -> RequestHeaders:
        """Return the headers for the endpoint: with its cookie as it set it."""
        if self._inserts:
            return headers
        forward = _COOKIE_LINE.sub(lambda line: self._prefix.sub(rb"\1", line.group()), headers.forward)
        return headers if forward == headers.forward else headers.replaced(forward)

    def marked(self, head: ResponseHead, choice: Choice | None, endpoint: LiveEndpoint) -> ResponseHead:
        """Return the head of `endpoint`'s response, with the session in it that begins or goes on."""
        if not self._inserts:
            start = self._set.sub(rb"\g<1>" + endpoint.session_name() + b"~", head.start)
        elif isinstance(choice, Session) and choice.endpoint is endpoint:
            return head
        else:
            start = b"%bSet-Cookie: %b=%b%b\r\n" % (
                head.start,
                self._name,
                endpoint.session_name(),
                self._attributes,
            )
        return head if start == head.start else head.replaced(start)
