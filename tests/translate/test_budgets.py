"""Budgets of an Ingress and of a host: an Ingress over one is refused, by name, and no other is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from controlplane.translate.budgets.automaton import is_small
from controlplane.translate.budgets.work import instructions, least, steps, work_by_host
from controlplane.translate.builder import translate
from controlplane.translate.closed import ANSWER, outlines
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import Facts, LastGood, Translation
from controlplane.translate.plan import PlannedForward, PlannedRoute
from proxy.model.conditions import Condition, HeaderCondition, TextKind
from proxy.model.limits import Limits, parse_limits
from proxy.model.policies import Cors, Policies
from proxy.model.snapshot import PathKind, PathMatch, Route
from proxy.routing.match import PathPattern
from proxy.routing.patterns import Texts
from tests.support.policies import asked
from tests.support.snapshots import route
from tests.support.tables import table_of
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of

ALB, MSE, NGINX = "alb.ingress.kubernetes.io/", "mse.ingress.kubernetes.io/", "nginx.ingress.kubernetes.io/"
MSE_GATEWAY: Manifest = {
    "kind": "MseIngressConfig",
    "metadata": {
        "name": "mse",
        "annotations": {
            "mse.alibabacloud.com/remote-clusters": "cluster-1",
            "fleetgate.io/listeners": '[{"HTTP": 81}]',
        },
    },
    "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
}
HEAVY = "/x{}(a|b)*a(a|b){{40}}$"
"""An expression whose automaton has more states than RE2 keeps: 2 to the 40th."""


def ingress(
    name: str, paths: list[str], annotations: dict[str, str] | None = None, host: str = "shop.example.com",
    **metadata: Any,
) -> Manifest:  # fmt: skip
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rules = [{"path": path, "pathType": "Prefix", "backend": backend} for path in paths]
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "demo", "name": name, "annotations": annotations or {}, **metadata},
        "spec": {"ingressClassName": "mse", "rules": [{"host": host, "http": {"paths": rules}}]},
    }


def translated(
    *manifests: Manifest, last_good: LastGood | None = None, limits: Limits | None = None
) -> Translation:
    members = {"cluster-1": member_of("cluster-1", deployed({"demo/web": 1}, "10.0.1"))}
    facts = Facts("192.0.2.1", frozenset({"cluster-1"}), limits=limits or Limits())
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, *manifests])
    return translate(fleet, members, facts, last_good or LastGood(), 1)


def errors(translation: Translation) -> list[Diagnostic]:
    return [item for item in translation.diagnostics if item.level == "error"]


def names(translation: Translation) -> set[str]:
    return {route.source.name for route in translation.snapshot.routes}


REGEX = {NGINX + "use-regex": "true"}
HEADERS = {MSE + "request-header-control-add": "\n".join(f"x-{n} v" for n in range(5000))}
NETWORKS = {NGINX + "whitelist-source-range": ",".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(9000))}
CORS = {
    NGINX + "enable-cors": "true",
    NGINX + "cors-allow-origin": ",".join(f"https://*.{n}.example" for n in range(600)),
}
HOSTILE = [
    pytest.param([HEAVY.format(n) for n in range(200)], REGEX, "max-ingress-pattern-work", id="regexes"),
    pytest.param(
        ["/"] * 50,
        {MSE + "regex-match-header-x": HEAVY.format(1)},
        "max-ingress-pattern-work",
        id="conditions",
    ),
    pytest.param([f"/{n}" for n in range(10)], CORS, "max-ingress-pattern-work", id="origins"),
    pytest.param([f"/{n}" for n in range(8000)], HEADERS, "max-header-changes", id="headers"),
    pytest.param(
        [f"/{n}" for n in range(3000)],
        {NGINX + "server-alias": ",".join(f"h{n}.example.com" for n in range(3000))},
        "max-ingress-bytes",
        id="aliases",
    ),
]


@pytest.mark.parametrize(("paths", "annotations", "budget"), HOSTILE)
def test_an_ingress_over_a_budget_keeps_its_last_good_version(
    paths: list[str], annotations: dict[str, str], budget: str
) -> None:
    neighbour = ingress("neighbour", ["/n"])
    before = translated(ingress("web", ["/good"]), neighbour)
    after = translated(ingress("web", paths, annotations), neighbour, last_good=before.last_good)
    found = [item for item in errors(after) if budget in item.message]
    assert [(item.code, item.name, item.field) for item in found] == [("FG0721", "web", "spec.rules")]
    assert int(found[0].value) > getattr(Limits(), budget.replace("-", "_"))
    assert found[0].allowed == f"at most {getattr(Limits(), budget.replace('-', '_'))}"
    assert f"--limit {budget}=" in found[0].fix
    assert "the last good version stays live" in found[0].message
    assert after.snapshot.routes == before.snapshot.routes


def test_an_edit_over_a_budget_that_begins_to_protect_answers_503() -> None:
    before = translated(ingress("web", ["/good"]))
    after = translated(ingress("web", [f"/{n}" for n in range(8000)], NETWORKS), last_good=before.last_good)
    (found,) = errors(after)
    assert "max-ingress-bytes; the rules of the Ingress answer 503" in found.message
    assert {route.action for route in after.snapshot.routes} == {ANSWER}


def test_an_ingress_that_never_was_good_is_not_served_and_says_so() -> None:
    paths = [HEAVY.format(n) for n in range(200)]
    after = translated(ingress("web", paths, REGEX), ingress("neighbour", ["/n"]))
    (found,) = errors(after)
    assert "the Ingress is not served" in found.message
    assert names(after) == {"neighbour"}


def test_a_version_that_a_lowered_budget_refuses_is_not_called_live() -> None:
    web = ingress("web", [f"/{n}" for n in range(200)])
    before = translated(web)
    after = translated(web, last_good=before.last_good, limits=parse_limits({"max-ingress-bytes": "65536"}))
    (found,) = errors(after)
    assert "the Ingress is not served" in found.message
    assert names(after) == set()
    again = translated(web, last_good=after.last_good)
    assert again.snapshot.routes == before.snapshot.routes


@pytest.mark.parametrize(("paths", "annotations", "budget"), HOSTILE[:3])
def test_a_raised_budget_lets_it_pass(paths: list[str], annotations: dict[str, str], budget: str) -> None:
    limits = parse_limits({budget: "100000", "max-host-pattern-work": "100000"})
    after = translated(ingress("web", paths, annotations), limits=limits)
    assert errors(after) == []
    assert len(after.snapshot.routes) == len(paths)


ALLOWED = {NGINX + "whitelist-source-range": "10.0.0.0/8"}


def planned(path: PathMatch) -> PlannedRoute:
    return PlannedRoute("spec.rules[0]", "shop.example.com", path, PlannedForward(()), (), 10)


def test_an_ingress_that_protects_and_is_over_a_budget_answers_503_with_all_its_rules() -> None:
    paths = [f"/admin/{n}(a|b)*a(a|b){{40}}" for n in range(200)]
    after = translated(ingress("web", paths, {**REGEX, **ALLOWED}), ingress("neighbour", ["/"]))
    (found,) = errors(after)
    assert (found.code, "the rules of the Ingress answer 503" in found.message) == ("FG0721", True)
    table = [route for route in after.snapshot.routes if route.source.name == "web"]
    assert {route.action for route in table} == {ANSWER}
    assert {route.path for route in table} == {
        PathMatch(PathKind.GLOB, f"/admin/{n}*", True) for n in range(200)
    }


@pytest.mark.parametrize(
    ("expression", "outline"),
    [
        ("/admin(/|$)(.*)", "/admin*"),
        ("/a((b|c)|d)", "/a*"),
        ("/a|/b", "/*"),
        ("/a([(]|b)", "/*"),
        ("/a(b|c", "/*"),
        ("/admin/.*", "/admin/*"),
        ("/ab?c", "/a*"),
        ("/ab{0,2}c", "/a*"),
        ("/ab+c", "/ab*"),
        ("/a.b", "/a*"),
        ("/[ab]", "/*"),
        ("/(?i)a", "/*"),
        (".*", "/*"),
    ],
)
def test_an_outline_takes_all_that_an_expression_takes(expression: str, outline: str) -> None:
    (rule,) = outlines([planned(PathMatch(PathKind.REGEX, expression))])
    assert rule.path == PathMatch(PathKind.GLOB, outline)


def test_an_ingress_that_had_the_protection_before_keeps_its_last_good_version() -> None:
    before = translated(ingress("web", ["/good"], ALLOWED))
    paths = [HEAVY.format(n) for n in range(200)]
    after = translated(ingress("web", paths, {**REGEX, **ALLOWED}), last_good=before.last_good)
    assert after.snapshot.routes == before.snapshot.routes


# The budget of a host


def share(name: str, **metadata: Any) -> Manifest:
    """About 450 steps per octet."""
    size = instructions(HEAVY.format(name), False)
    return ingress(name, [HEAVY.format(f"{name}{n}") for n in range(450 // size)], REGEX, **metadata)


def test_a_neighbour_that_writes_more_takes_nothing_from_others() -> None:
    """The Ingress that was edited last is refused, even though it is the oldest."""
    old = ingress("a", ["/a"], creationTimestamp="2026-01-01T00:00:00Z")
    others = [share("b", creationTimestamp="2026-02-01T00:00:00Z"), share("c")]
    before = translated(old, *others)
    assert names(before) == {"a", "b", "c"}
    edited = translated(
        share("a", creationTimestamp="2026-01-01T00:00:00Z"), *others, last_good=before.last_good
    )
    (found,) = errors(edited)
    assert (found.code, found.name) == ("FG0722", "a")
    assert "max-host-pattern-work; the last good version stays live" in found.message
    assert "--limit max-host-pattern-work=" in found.fix
    assert edited.snapshot.routes == before.snapshot.routes
    assert translated(
        share("a", creationTimestamp="2026-01-01T00:00:00Z"), *others, last_good=edited.last_good
    ).snapshot.routes == (before.snapshot.routes)


def test_of_new_ones_the_oldest_come_first() -> None:
    made = [
        share(name, creationTimestamp=f"2026-0{month}-01T00:00:00Z") for month, name in enumerate("cba", 1)
    ]
    after = translated(*made)
    (found,) = errors(after)
    assert (found.code, found.name) == ("FG0722", "a")
    assert "the Ingress is not served" in found.message
    assert names(after) == {"b", "c"}


def test_each_host_has_its_own_budget() -> None:
    made = [share(name, host=f"{name}.example.com") for name in "abcd"]
    assert errors(translated(*made)) == []


# What is counted


def regex(path: str, **options: Any) -> Route:
    return route(80, path, kind=PathKind.REGEX, host="h", **options)


def conditioned(path: str, kind: PathKind = PathKind.PREFIX) -> Route:
    condition = HeaderCondition("x", ("a+b",), TextKind.REGEX)
    return route(80, path, kind=kind, host="h", conditions=(condition,))


def weigh(pattern: str, ignore_case: bool) -> int:
    return 100


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([route(80, "/a", host="h"), route(80, "/b", host="h", kind=PathKind.EXACT)], 0),
        ([regex("/a+"), regex("/b+")], 200),
        ([route(80, "/a*", host="h", kind=PathKind.GLOB)], 1),
        # Of literal paths a request tries those that cover it
        ([conditioned("/a"), conditioned("/b")], 100),
        ([conditioned("/a"), conditioned("/a/b"), conditioned("/a/b/c", PathKind.EXACT)], 300),
        ([conditioned("/a"), conditioned("/"), regex("/x")], 300),
        ([conditioned("/a"), conditioned("/a")], 200),
    ],
)
def test_work_is_that_of_the_request_that_costs_most(routes: list[Route], expected: int) -> None:
    assert work_by_host(routes, weigh) == {"h": expected}


def test_policies_cost_only_the_requests_that_take_the_route() -> None:
    policies = Policies(cors=Cors(origins=("https://*.example", "https://a.example", "*")))
    routes = [replace(regex(f"/{n}"), policies=policies) for n in range(3)]
    assert work_by_host(routes, weigh) == {"h": 400}


# What an expression takes

SMALL = [
    "/api/v[0-9]+/(.*)",
    "/foo(/|$)(.*)",
    "(?:/(en|de|fr)/(.*))$",
    "/(a+)+$",
    "/((a+)+b?)+$",
    "/.*.*.*.*=.*$",
    r"/[^/]+/[^/]+/images/(\d{4})-(\d{2})/.*\.(png|jpe?g|gif)$",
    "/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/(.*)",
    "/(?i)abc/(?P<rest>.*)",
    "/(.*)/x/(.*)/y/(.*)$",
    "/a{2}/b{1,3}?/[]a]*",
]
LARGE = [
    "/(a|b)*a(a|b){12}$",
    "/.*a.{40}$",
    "/(.{0,8}){0,8}x",
    "/((a{0,30}){0,30})*x",
    # Not read: the worst is assumed
    r"/\pL+",
    "/[[:alpha:]]+",
    r"/\bword\b",
    "/(?U)a+",
    "/(a",
]


@pytest.mark.parametrize("pattern", SMALL)
def test_common_patterns_take_a_step_per_octet(pattern: str) -> None:
    assert steps(pattern, False) == 1
    assert steps(pattern, True) == 1


@pytest.mark.parametrize("pattern", LARGE)
def test_a_pattern_without_a_small_automaton_takes_all_of_its_program(pattern: str) -> None:
    assert steps(pattern, False) == instructions(pattern, False)
    assert not is_small(pattern, False)


def test_many_simple_expressions_are_within_the_budget() -> None:
    """One by one they have 5,000 instructions."""
    web = ingress("web", [f"/shop{n}/(.*)/v([0-9]+)" for n in range(200)], REGEX)
    after = translated(web)
    assert errors(after) == []
    assert sum(instructions(route.path.value, False) for route in after.snapshot.routes) > 4000


PATHS = st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/a+", "/(a|b)*", "/a*", "/b*"])
KINDS = st.sampled_from(list(PathKind))
CONDITIONS = st.sampled_from(
    [
        (),
        (HeaderCondition("x", ("a+b", "c+"), TextKind.REGEX),),
        (HeaderCondition("x", ("a*b", "c*"), TextKind.GLOB), HeaderCondition("y", ("a",), TextKind.REGEX)),
    ]
)


@given(st.lists(st.tuples(PATHS, KINDS, CONDITIONS), max_size=8))
def test_no_request_tries_more_patterns_than_were_counted(
    drawn: list[tuple[str, PathKind, tuple[Condition, ...]]],
) -> None:
    """The worst request of an accepted Ingress: counted are expressions that are tried, not time."""
    routes = [
        replace(route(80, path, kind=kind, host="h", conditions=conditions), id=f"demo/{number}")
        for number, (path, kind, conditions) in enumerate(drawn)
    ]
    most = work_by_host(routes, least).get("h", 0)
    with counting() as tried:
        table = table_of(routes)
        for path in ("/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/aaa", "/bb/c"):
            request = asked(path, "X: none", "Y: none", host="h")
            tried.clear()
            table.find(80, b"h", request.path, request.headers, request.line, b"192.0.2.1")
            assert len(tried) <= most


@contextmanager
def counting() -> Iterator[list[str]]:
    """Count each regular expression and each glob that is tried."""
    tried: list[str] = []
    with pytest.MonkeyPatch.context() as patch:

        def matches(self: PathPattern, path: bytes) -> bool:
            tried.append("path")
            return False

        def match(self: Texts, value: bytes) -> bool:
            tried.extend(["text"] * len(self._regexes))
            tried.extend(["text"] if self._globs is not None else [])
            return False

        patch.setattr(PathPattern, "matches", matches)
        patch.setattr(Texts, "match", match)
        yield tried


def test_an_ingress_that_protects_and_does_not_fit_into_a_host_answers_503() -> None:
    made = [share(name, creationTimestamp=f"2026-0{n}-01T00:00:00Z") for n, name in enumerate("abc", 1)]
    made[2]["metadata"]["annotations"] = {**REGEX, **ALLOWED}
    after = translated(*made)
    (found,) = errors(after)
    assert (found.code, found.name) == ("FG0722", "c")
    assert "the rules of the Ingress answer 503" in found.message
    assert {route.action for route in after.snapshot.routes if route.source.name == "c"} == {ANSWER}


def test_other_namespaces_leave_half_of_the_budget_of_a_host_to_its_owner() -> None:
    """Namespace b came later; what it writes never keeps a from writing as much as a half."""
    owned = ingress("a", ["/a"], creationTimestamp="2026-01-01T00:00:00Z")
    foreign = [share(name, namespace="b", creationTimestamp="2026-02-01T00:00:00Z") for name in ("x", "y")]
    before = translated(owned, *foreign)
    (found,) = [item for item in errors(before) if item.code == "FG0722"]
    assert (found.namespace, found.name) == ("b", "y")
    assert "half of which is for namespaces other than" in found.message
    grown = share("a", creationTimestamp="2026-01-01T00:00:00Z")
    after = translated(grown, *foreign, last_good=before.last_good)
    assert {item.namespace for item in errors(after)} == {"b"}
    assert names(after) == {"a", "x"}
