"""Values of a snapshot that no worker can use: each is named by its field, and good ones are not."""

import pytest

from proxy.model.actions import (
    Action,
    Algorithm,
    Backend,
    Balance,
    FixedResponse,
    Forward,
    HashKey,
    HashSource,
    Redirect,
    Sticky,
)
from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
)
from proxy.model.policies import (
    Access,
    ConcurrencyLimit,
    Cors,
    ErrorFallback,
    Mirror,
    Policies,
    RateLimit,
    Retry,
    Rewrite,
)
from proxy.model.snapshot import PathKind, PathMatch, Route
from proxy.validation.routes import of_condition, of_path_match, of_route
from tests.support.snapshots import source, split

BACKEND = Backend("demo/web:80")
REFUSAL = FixedResponse(429)


def parts(action: Action, policies: Policies | None = None) -> list[str]:
    """Return the fields of a route that cannot be used."""
    path = PathMatch(PathKind.PREFIX, "/")
    return [
        found.part for found in of_route(Route("r", source(), (80,), "", path, action, policies=policies))
    ]


def balanced(**balance: object) -> Forward:
    return Forward((BACKEND,), split(), Balance(**balance))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "part"),
    [
        (Redirect(200), "action.status"),
        (Redirect(301, protocol="ftp"), "action.protocol"),
        (Redirect(301, port="0"), "action.port"),
        (Redirect(301, port="http"), "action.port"),
        (Redirect(301, host="a.example:81", port="80"), "action.port"),
        (FixedResponse(99), "action.status"),
        (FixedResponse(200, content_type="a\nb"), "action.content_type"),
        (Forward((), split()), "action.backends"),
        (Forward((Backend("demo/web:80", weight=-1),), split()), "action.backends"),
        (balanced(algorithm=Algorithm.HASH), "action.balance.key"),
        (balanced(key=HashKey(HashSource.HEADER)), "action.balance.key.name"),
        (balanced(sticky=Sticky("a b")), "action.balance.sticky.cookie"),
        (balanced(sticky=Sticky("a", path="/;")), "action.balance.sticky.path"),
        (balanced(sticky=Sticky("a", max_age_s=-1)), "action.balance.sticky.max_age_s"),
    ],
)
def test_an_action_that_cannot_be_used_is_named(action: Action, part: str) -> None:
    assert parts(action) == [part]


@pytest.mark.parametrize(
    ("policies", "part"),
    [
        (Policies(access=Access(allow=("10.0.0.0/33",))), "access.allow"),
        (Policies(access=Access(deny=("nobody",))), "access.deny"),
        (Policies(rate_limits=(RateLimit(0, REFUSAL),)), "rate_limits.requests"),
        (Policies(rate_limits=(RateLimit(1, Redirect(200)),)), "rate_limits.refusal.status"),
        (Policies(concurrency=ConcurrencyLimit(0, REFUSAL)), "concurrency.requests"),
        (Policies(cors=Cors(origins=("a b",))), "cors.origins"),
        (Policies(cors=Cors(methods=("G T",))), "cors.methods"),
        (Policies(cors=Cors(expose_headers=("a:b",))), "cors.expose_headers"),
        (Policies(to_https=Redirect(200)), "to_https.status"),
        (Policies(max_body_bytes=-1), "max_body_bytes"),
        (Policies(rewrite=Rewrite(host="a b")), "rewrite.host"),
        (Policies(mirror=Mirror((BACKEND,), split(), 101)), "mirror.percent"),
        (Policies(retry=Retry(tries=0)), "retry.tries"),
        (Policies(retry=Retry(statuses=(99,))), "retry.statuses"),
        (Policies(retry=Retry(try_timeout_s=-1.0)), "retry.try_timeout_s"),
        (Policies(response_timeout_s=float("inf")), "response_timeout_s"),
        (Policies(errors=ErrorFallback((99,), BACKEND, split())), "errors.statuses"),
    ],
)
def test_a_policy_that_cannot_be_used_is_named(policies: Policies, part: str) -> None:
    assert parts(Forward((BACKEND,), split()), policies) == [f"policies.{part}"]


def test_values_that_can_be_used_are_no_problem() -> None:
    sticky = Sticky("session", max_age_s=0)
    key = HashKey(HashSource.QUERY, "user")
    assert parts(balanced(algorithm=Algorithm.HASH, key=key, sticky=sticky)) == []
    assert parts(Redirect(308, "https", "a.example:443", "443")) == []
    assert parts(Redirect(302)) == []
    assert parts(FixedResponse(503)) == []


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        (HeaderCondition("a b", ("x",)), "conditions.header"),
        (MethodCondition(("G T",)), "conditions.method"),
        (SourceCondition(("nobody",)), "conditions.source"),
    ],
)
def test_a_condition_that_cannot_be_used_is_named(condition: Condition, part: str) -> None:
    assert part in [found.part for found in of_condition(condition)]


@pytest.mark.parametrize(
    "condition",
    [
        HeaderCondition("stage", ("gray",)),
        HostCondition(("*.example",)),
        MethodCondition(("GET",)),
        SourceCondition(("10.0.0.0/8",)),
        CookieCondition((("a", "b"),)),
        QueryCondition((("a", "b"),)),
    ],
)
def test_conditions_of_all_kinds_can_be_used(condition: Condition) -> None:
    assert list(of_condition(condition)) == []


def test_a_path_that_is_no_expression_is_told_in_a_sentence() -> None:
    (found,) = of_path_match(PathMatch(PathKind.REGEX, "("))
    assert str(found).startswith("path '(' ")
    assert str(found).endswith("; allowed: a regular expression of RE2")
