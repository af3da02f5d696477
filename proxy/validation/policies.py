"""Checks of a route's policies: each by itself, and all of a route."""

import re
from collections.abc import Iterable
from typing import Final

from proxy.model.grammar import FIELD_VALUE, FRAMING, HEADER_NAME, ORIGIN, TOKEN
from proxy.model.policies import (
    Access,
    ConcurrencyLimit,
    Cors,
    ErrorFallback,
    HeaderChange,
    HeaderOperation,
    Mirror,
    Policies,
    RateLimit,
    ResponseRule,
    Retry,
    Rewrite,
    ValueSource,
)
from proxy.routing.networks import Networks
from proxy.routing.patterns import PatternError, Texts
from proxy.validation.actions import of_answer
from proxy.validation.problem import Problem, Problems, within
from proxy.validation.templates import of_host, of_path, of_template

NAME_ALLOWED: Final = f"1 to 256 letters, digits and -, but no underscore; not {', '.join(sorted(FRAMING))}"
_LAST_STATUS: Final = 599
_HSTS: Final = re.compile(r"max-age=[0-9]{1,10}(?:; (?:includeSubDomains|preload)){0,2}")
_WRITTEN: Final = (ValueSource.LITERAL, ValueSource.TEMPLATE)


def of_policies(policies: Policies) -> Problems:
    if policies.access is not None:
        yield from within("access", of_access(policies.access))
    for limit in policies.rate_limits:
        yield from within("rate_limits", of_rate_limit(limit))
    if policies.concurrency is not None:
        yield from within("concurrency", of_concurrency(policies.concurrency))
    if policies.to_https is not None:
        yield from within("to_https", of_answer(policies.to_https))
    if policies.max_body_bytes is not None and policies.max_body_bytes < 0:
        yield Problem("max_body_bytes", str(policies.max_body_bytes), "is not a size", "0 or more")
    if policies.cors is not None:
        yield from within("cors", of_cors(policies.cors))
    if policies.rewrite is not None:
        yield from within("rewrite", of_rewrite(policies.rewrite))
    yield from within("request_headers", of_changes(policies.request_headers))
    if policies.mirror is not None:
        yield from within("mirror", of_mirror(policies.mirror))
    if policies.retry is not None:
        yield from within("retry", of_retry(policies.retry))
    yield from _of_time("response_timeout_s", policies.response_timeout_s)
    yield from within("response_headers", of_changes(policies.response_headers))
    for rule in policies.response_rules:
        yield from within("response_rules", of_rule(rule))
    if policies.hsts is not None and _HSTS.fullmatch(policies.hsts) is None:
        allowed = "max-age=<seconds>, then includeSubDomains and preload"
        yield Problem("hsts", policies.hsts, "is no Strict-Transport-Security", allowed)
    if policies.errors is not None:
        yield from within("errors", of_errors(policies.errors))


def of_changes(changes: Iterable[HeaderChange]) -> Problems:
    for change in changes:
        yield from of_change(change)


def of_change(change: HeaderChange) -> Problems:
    yield from _of_name("name", change.name)
    if change.operation is HeaderOperation.REMOVE:
        return
    if change.source is ValueSource.HEADER:
        yield from _of_field("value", change.value)
        return
    if change.source is ValueSource.TEMPLATE:
        yield from of_template("value", change.value)
    if change.source in _WRITTEN and FIELD_VALUE.fullmatch(change.value.strip()) is None:
        problem = f"is not a value that the header {change.name} can have"
        yield Problem("value", change.value, problem, "a line without control characters")


def _of_name(part: str, name: str) -> Problems:
    found = list(_of_field(part, name))
    yield from found
    if not found and name.lower() in FRAMING:
        yield Problem(part, name, "steers the connection and cannot be changed", NAME_ALLOWED)


def _of_field(part: str, name: str) -> Problems:
    """The name of a field that a request or response can have."""
    if HEADER_NAME.fullmatch(name) is None:
        problem = "has an underscore, with which messages are refused" if "_" in name else "is no header name"
        yield Problem(part, name, problem, NAME_ALLOWED)


def of_rule(rule: ResponseRule) -> Problems:
    yield from within("changes", of_changes(rule.changes))
    yield from of_statuses(rule.statuses)
    for condition in rule.headers:
        try:
            Texts(condition.kind, condition.patterns)
        except PatternError as error:
            yield Problem("headers", condition.name, f"has no usable pattern: {error}", "RE2 syntax")


def of_cors(cors: Cors) -> Problems:
    for origin in cors.origins:
        if ORIGIN.fullmatch(origin) is None:
            yield Problem(
                "origins", origin, "is not an origin", "*, https://shop.example.com, https://*.b.org"
            )
    for part, names in (("methods", cors.methods), ("headers", cors.headers)):
        yield from _of_tokens(part, names)
    yield from _of_tokens("expose_headers", cors.expose_headers)


def _of_tokens(part: str, names: tuple[str, ...]) -> Problems:
    for name in names:
        if TOKEN.fullmatch(name) is None:
            yield Problem(part, name, f"is not the name of a {_KINDS[part]}", "letters, digits and -_.; or *")


_KINDS: Final = {"methods": "method", "headers": "header", "expose_headers": "header"}


def of_rewrite(rewrite: Rewrite) -> Problems:
    if rewrite.host:
        yield from of_host("host", rewrite.host)
    yield from of_path("path", rewrite.path)
    yield from of_template("query", rewrite.query or "")


def of_access(access: Access) -> Problems:
    for part, networks in (("allow", access.allow), ("deny", access.deny)):
        for network in networks:
            try:
                Networks((network,))
            except ValueError:
                yield Problem(part, network, "is not an address or a network", "10.0.0.0/8, 2001:db8::/32")


def of_rate_limit(limit: RateLimit) -> Problems:
    for part, number, lowest in (
        ("requests", limit.requests, 1),
        ("per_s", limit.per_s, 1),
        ("burst", limit.burst, 0),
    ):
        if number < lowest:
            yield Problem(part, str(number), "is not a number it can have", f"{lowest} or more")
    yield from within("refusal", of_answer(limit.refusal))


def of_concurrency(limit: ConcurrencyLimit) -> Problems:
    if limit.requests < 1:
        yield Problem("requests", str(limit.requests), "is not a number it can have", "1 or more")
    yield from within("refusal", of_answer(limit.refusal))


def of_mirror(mirror: Mirror) -> Problems:
    if not 0 <= mirror.percent <= 100:
        yield Problem("percent", str(mirror.percent), "is not a part of a hundred", "0 to 100")


def of_retry(retry: Retry) -> Problems:
    if retry.tries < 1:
        yield Problem("tries", str(retry.tries), "is not a number of tries", "1 or more")
    yield from of_statuses(retry.statuses)
    yield from _of_time("try_timeout_s", retry.try_timeout_s)


def of_errors(errors: ErrorFallback) -> Problems:
    return of_statuses(errors.statuses)


def of_statuses(statuses: tuple[int, ...]) -> Problems:
    for status in statuses:
        if not 100 <= status <= _LAST_STATUS:
            yield Problem("statuses", str(status), "is not a status code", f"100 to {_LAST_STATUS}")


def _of_time(part: str, seconds: float | None) -> Problems:
    if seconds is not None and not 0 <= seconds < float("inf"):
        yield Problem(part, str(seconds), "is not a time", "0 or more seconds")
