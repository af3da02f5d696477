"""Policies for a route's requests and responses. A route without any has no Policies."""

from enum import StrEnum

import msgspec

from proxy.model.actions import Backend, FixedResponse, Redirect, Split
from proxy.model.conditions import HeaderCondition


class HeaderOperation(StrEnum):
    SET = "set"  # instead of every field of that name
    ADD = "add"  # besides the lines that the message has
    DEFAULT = "default"  # only when there is none of that name
    REMOVE = "remove"


class ValueSource(StrEnum):
    """Where the value of an inserted header comes from."""

    LITERAL = "literal"  # HeaderChange.value
    TEMPLATE = "template"  # HeaderChange.value, with the variables of a Redirect
    HEADER = "header"  # the request header that HeaderChange.value names, in lower case; none: no change
    CLIENT_ADDRESS = "client_address"
    CLIENT_PORT = "client_port"
    PROTOCOL = "protocol"  # http or https
    LISTENER_PORT = "listener_port"


class HeaderChange(msgspec.Struct, frozen=True, gc=False):
    operation: HeaderOperation
    name: str
    value: str = ""
    source: ValueSource = ValueSource.LITERAL


class ResponseRule(msgspec.Struct, frozen=True, gc=False):
    """Changes of responses that have one of the statuses (empty: any) and all of the headers."""

    changes: tuple[HeaderChange, ...]
    statuses: tuple[int, ...] = ()
    headers: tuple[HeaderCondition, ...] = ()


class PathRewriteKind(StrEnum):
    WHOLE = "whole"  # the value is the new path
    MATCHED = "matched"  # the value replaces the part that the route's prefix or pattern matched


class Rewrite(msgspec.Struct, frozen=True, gc=False):
    """Host, path and query for the endpoint. "" leaves a part as it is.

    Templates with ${host}, ${path}, ${query} and ${1} to ${9}: groups of the route's regular expression.
    """

    host: str = ""
    path: str = ""
    path_kind: PathRewriteKind = PathRewriteKind.WHOLE
    query: str | None = None  # None leaves it, "" removes it


class Cors(msgspec.Struct, frozen=True, gc=False):
    """Cross-origin resource sharing (the WHATWG Fetch standard): preflights are answered here."""

    origins: tuple[str, ...] = ("*",)  # "*", an origin, or one with a '*' for any run of characters
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    credentials: bool = True
    max_age_s: int | None = None


class LimitScope(StrEnum):
    ROUTE = "route"
    CLIENT = "client"  # by address


Refusal = FixedResponse | Redirect
"""The answer to a request that a limit refuses."""


class RateLimit(msgspec.Struct, frozen=True, gc=False):
    """A token bucket: `burst` requests at once, `requests` more every `per_s` seconds.

    For the whole gateway: each of its workers gives out its part.
    """

    requests: int
    refusal: Refusal
    per_s: int = 1
    burst: int = 0  # 0: `requests`
    scope: LimitScope = LimitScope.ROUTE


class ConcurrencyLimit(msgspec.Struct, frozen=True, gc=False):
    """The most requests at a time, for the whole gateway."""

    requests: int
    refusal: Refusal


class Access(msgspec.Struct, frozen=True, gc=False):
    """Client addresses (CIDR) that may come. Others get 403.

    `deny` beats `allow`; an empty `allow` is everybody.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Mirror(msgspec.Struct, frozen=True, gc=False):
    """A copy of the request for another service: its answer is thrown away, its failure changes nothing."""

    backends: tuple[Backend, ...]
    split: Split
    percent: int = 100


class RetryScope(StrEnum):
    """Where a request may go when an attempt has failed."""

    ANY = "any"
    SAME_CLUSTER = "same-cluster"
    NONE = "none"  # there is no other attempt, not even of a connect


class Retry(msgspec.Struct, frozen=True, gc=False):
    """When a request is tried again, where the route says it otherwise than the gateway does."""

    tries: int = 3  # that an endpoint may have seen, the first one included; 1: never again
    statuses: tuple[int, ...] = (502, 503, 504)
    non_idempotent: bool = False  # also methods like POST, after they were sent
    try_timeout_s: float | None = None  # for the response head of each try
    scope: RetryScope = RetryScope.ANY


class Policies(msgspec.Struct, frozen=True, gc=False):
    """Policies in the order in which they decide; each is None or () where the route has none."""

    access: Access | None = None
    rate_limits: tuple[RateLimit, ...] = ()
    concurrency: ConcurrencyLimit | None = None
    cors: Cors | None = None
    to_https: Redirect | None = None  # of requests that came by http, as trusted proxies report it
    rewrite: Rewrite | None = None
    request_headers: tuple[HeaderChange, ...] = ()
    mirror: Mirror | None = None
    retry: Retry | None = None
    max_body_bytes: int | None = None  # of a request, instead of the gateway's limit; 0: any size
    response_timeout_s: float | None = None  # instead of the listener's; 0: none
    response_headers: tuple[HeaderChange, ...] = ()
    response_rules: tuple[ResponseRule, ...] = ()
    errors: "ErrorFallback | None" = None
    hsts: str | None = None  # Strict-Transport-Security of responses over HTTPS that have none


class ErrorFallback(msgspec.Struct, frozen=True, gc=False):
    """Answers of endpoints with these statuses are replaced by another service's answer to GET /.

    ingress-nginx and Higress: custom-http-errors with default-backend. At most once per request.
    """

    statuses: tuple[int, ...]
    backend: Backend
    split: Split
