"""Values that would do harm where they are used: each is refused, or made harmless, in translation."""

import json
import time
from typing import Any

import pytest

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.families import apply_all
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.builder import translate
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.model import Facts, LastGood, Translation
from proxy.model.conditions import HostCondition
from proxy.model.snapshot import Route
from proxy.routing.match import compile_conditions, compile_path
from proxy.routing.request import Facts as RequestFacts
from tests.support.tables import table_of
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of

ALB = "alb.ingress.kubernetes.io/"
MSE = "mse.ingress.kubernetes.io/"
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


def drafted(dialect: Dialect, annotations: dict[str, str]) -> tuple[Draft, list[Diagnostic]]:
    findings = Findings(Subject("Ingress", "demo", "web"))
    draft = Draft("demo")
    apply_all(Reader(annotations, dialect, findings), draft)
    return draft, findings.items


def ingress(name: str, dialect: Dialect, annotations: dict[str, str], **path: Any) -> Manifest:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend, **path}]
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "demo", "name": name, "annotations": annotations},
        "spec": {
            "ingressClassName": "alb" if dialect is Dialect.ALB else "mse",
            "rules": [{"host": "shop.example.com", "http": {"paths": paths}}],
        },
    }


def translated(*manifests: Manifest) -> Translation:
    members = {"cluster-1": member_of("cluster-1", deployed({"demo/web": 1}, "10.0.1"))}
    facts = Facts("192.0.2.1", frozenset({"cluster-1", "cluster-2"}))
    fleet = fleet_of([*gateway(80), MSE_GATEWAY, *manifests])
    return translate(fleet, members, facts, LastGood(), 1)


# Cookies of sessions

BREAKS_A_COOKIE = [
    "a\r\nSet-Cookie: b=c",
    "a\rb",
    "a\nb",
    "a;b",
    "a b",
    "a\tb",
    "a,b",
    "a=b",
    "a\x00b",
    "ä",
    "",
]


@pytest.mark.parametrize("name", [*BREAKS_A_COOKIE, "a\x85b", "a\u2028b", "a" * 201])
def test_names_of_cookies(name: str) -> None:
    alb = {ALB + "sticky-session": "true", ALB + "sticky-session-type": "Server", ALB + "cookie": name}
    mse = {MSE + "affinity": "cookie", MSE + "session-cookie-name": name}
    for dialect, annotations, key in (
        (Dialect.ALB, alb, ALB + "cookie"),
        (Dialect.MSE, mse, MSE + "session-cookie-name"),
    ):
        draft, found = drafted(dialect, annotations)
        told = ALB + "sticky-session-type" if key.startswith(ALB) and not name else key
        assert [(item.level, item.field) for item in found] == [("error", f"metadata.annotations[{told}]")]
        if draft.sticky is not None:
            assert draft.sticky.cookie == "INGRESSCOOKIE"


@pytest.mark.parametrize(
    "path", ["/\r\nX: y", "/a\rb", "/a\nb", "/;Domain=x", "/a b", "/a,b", "/\x00", "/ä", "a", ""]
)
def test_paths_of_cookies(path: str) -> None:
    annotations = {MSE + "affinity": "cookie", MSE + "session-cookie-path": path}
    draft, (finding,) = drafted(Dialect.MSE, annotations)
    assert (finding.level, finding.field) == (
        "error",
        f"metadata.annotations[{MSE}session-cookie-path]",
    )
    assert draft.sticky is not None
    assert draft.sticky.path == "/"


def test_cookies_for_canaries() -> None:
    for prefix, dialect in ((ALB, Dialect.ALB), (MSE, Dialect.MSE)):
        for name in BREAKS_A_COOKIE:
            draft, found = drafted(dialect, {prefix + "canary": "true", prefix + "canary-by-cookie": name})
            assert [item.level for item in found] == ["error"]
            assert draft.canary is None


# Hosts in upper case

HOST_RULES: list[tuple[Dialect, dict[str, str]]] = [
    (Dialect.ALB, {ALB + "conditions.web": '[{"type":"Host","hostConfig":{"values":["Shop.Example.org"]}}]'}),
    (Dialect.ALB, {ALB + "conditions.web": '[{"type":"Host","hostConfig":{"values":["*.Example.ORG"]}}]'}),
    (Dialect.MSE, {MSE + "server-alias": "Shop.Example.org"}),
    (Dialect.MSE, {MSE + "server-alias": "*.Example.ORG"}),
    (Dialect.MSE, {MSE + "exact-match-pseudo-header-authority": "Shop.Example.com"}),
    (Dialect.MSE, {MSE + "prefix-match-pseudo-header-authority": "SHOP."}),
    (Dialect.MSE, {MSE + "regex-match-pseudo-header-authority": r"SHOP\.\S+\.[A-Z]{3}"}),
]


@pytest.mark.parametrize(("dialect", "annotations"), HOST_RULES)
def test_hosts_are_found_in_whatever_case_they_are_written(
    dialect: Dialect, annotations: dict[str, str]
) -> None:
    """The host of a request comes in lower case."""
    translation = translated(ingress("web", dialect, annotations))
    routes = translation.snapshot.routes
    found = {
        host for host in ("shop.example.com", "shop.example.org") for route in routes if _takes(route, host)
    }
    widened = any("example.org" in value.lower() for value in annotations.values())
    assert found == {"shop.example.com", *(("shop.example.org",) if widened else ())}
    assert [item for item in translation.diagnostics if item.level == "error"] == []


def _takes(route: Route, host: str) -> bool:
    name = route.host.removeprefix("*")
    facts = RequestFacts()
    facts.host = host.encode()
    checks = [check for check in compile_conditions(route) if isinstance(check.condition, HostCondition)]
    return (host == name or (name.startswith(".") and host.endswith(name)) or not name) and all(
        check.holds(facts) for check in checks
    )


# Regular expressions and networks

REGEXES: list[tuple[Dialect, str, dict[str, Any]]] = [
    (Dialect.ALB, "", {"pathType": "ImplementationSpecific", "path": "~/{}"}),
    (Dialect.ALB, "", {"pathType": "ImplementationSpecific", "path": "~*/{}"}),
    (Dialect.ALB, ALB + "use-regex", {"path": "/{}"}),
    (Dialect.ALB, ALB + "rewrite-target", {"path": "/{}"}),
    (Dialect.MSE, MSE + "use-regex", {"path": "/{}"}),
    (Dialect.MSE, MSE + "full-path-regex", {"path": "/{}"}),
    (Dialect.MSE, MSE + "regex-match-header-stage", {}),
    (Dialect.MSE, MSE + "regex-match-query-stage", {}),
    (Dialect.MSE, MSE + "regex-match-pseudo-header-authority", {}),
    (Dialect.MSE, MSE + "canary-by-header-pattern", {}),
    (Dialect.MSE, MSE + "canary-by-query-pattern", {}),
]
FLAGS = {"use-regex": "true", "full-path-regex": "true", "rewrite-target": "/new"}
EXTRA = {
    "canary-by-header-pattern": {MSE + "canary": "true", MSE + "canary-by-header": "stage"},
    "canary-by-query-pattern": {MSE + "canary": "true", MSE + "canary-by-query": "stage"},
}
NO_REGEX = [
    "(a",
    "a)",
    "[z-a]",
    "**",
    "(?=a)b",
    r"(a)\1",
    "a{2000}",
    "(a{0,500}){9}",
    "\\",
]


def expressed(case: tuple[Dialect, str, dict[str, Any]], text: str) -> tuple[Translation, str]:
    """Translate an Ingress with an expression, its neighbours beside it; return what its field is, too."""
    dialect, key, path = case
    name = key.partition("/")[2]
    annotations = {key: FLAGS.get(name, text)} if key else {}
    annotations.update(EXTRA.get(name, {}))
    path = {field: value.replace("{}", text) for field, value in path.items()}
    web = ingress("web", dialect, annotations, **path)
    field = "spec.rules[0].http.paths[0].path" if path else f"metadata.annotations[{key}]"
    return translated(web, ingress("base", dialect, {}), ingress("neighbour", dialect, {})), field


@pytest.mark.parametrize("text", NO_REGEX)
@pytest.mark.parametrize("case", REGEXES)
def test_text_that_is_no_expression_is_a_finding(
    case: tuple[Dialect, str, dict[str, Any]], text: str
) -> None:
    translation, field = expressed(case, text)
    errors = [item for item in translation.diagnostics if item.level == "error"]
    assert [(item.name, item.field) for item in errors] == [("web", field)]
    assert "is not a regular expression" in errors[0].message
    assert {route.source.name for route in translation.snapshot.routes} == {"base", "neighbour"}
    table_of(translation.snapshot.routes)


def _texts(check: Any) -> Any:
    return getattr(check, "_texts", None) or check._pairs[0][2]


@pytest.mark.parametrize("case", REGEXES)
def test_an_expression_takes_time_in_proportion(case: tuple[Dialect, str, dict[str, Any]]) -> None:
    """(a+)+$ takes a backtracking matcher 2^n steps: for 30 characters a minute, for 8000 for ever."""
    translation, _ = expressed(case, "(a+)+$")
    assert [item for item in translation.diagnostics if item.level == "error"] == []
    (route,) = [route for route in translation.snapshot.routes if route.source.name == "web"]
    evil = b"a" * 8000 + b"!"
    start = time.perf_counter()
    pattern = compile_path(route.path)
    if pattern is not None:
        assert not pattern.matches(b"/" + evil)
        assert pattern.matches(b"/aaa")
    else:
        (check,) = compile_conditions(route)
        field = getattr(check, "_field", None)
        texts = field.texts if field is not None else _texts(check)
        assert not texts.match(evil)
        assert texts.match(b"aaa")
    assert time.perf_counter() - start < 0.5


NO_NETWORK = [
    "10.0.0.0/33",
    "10.0.0",
    "10.0.0.0.1",
    "::/129",
    "fe80::1%eth0",
    "a.example",
    "10.0.0.0/-1",
    "0x7f.1",
]


@pytest.mark.parametrize("text", NO_NETWORK)
@pytest.mark.parametrize(
    "name",
    [
        "whitelist-source-range",
        "allowlist-source-range",
        "denylist-source-range",
        "blacklist-source-range",
        "domain-whitelist-source-range",
        "domain-blacklist-source-range",
    ],
)
def test_text_that_is_no_network_is_a_finding(name: str, text: str) -> None:
    draft, (finding,) = drafted(Dialect.MSE, {MSE + name: f"10.0.0.0/8, {text}"})
    assert (finding.level, finding.field) == ("error", f"metadata.annotations[{MSE}{name}]")
    assert text in finding.message
    assert "10.0.0.0/8" in finding.allowed
    assert draft.access is None or draft.access.allow or draft.access.deny


@pytest.mark.parametrize("text", NO_NETWORK)
def test_networks_of_conditions(text: str) -> None:
    blocks = [{"type": "SourceIp", "sourceIpConfig": {"values": ["10.0.0.0/8", text]}}]
    web = ingress("web", Dialect.ALB, {ALB + "conditions.web": json.dumps(blocks)})
    translation = translated(web, ingress("neighbour", Dialect.ALB, {}))
    (finding,) = [item for item in translation.diagnostics if item.level == "error"]
    assert finding.field == f"metadata.annotations[{ALB}conditions.web][0].sourceIpConfig.values[1]"
    assert finding.value == text
    assert {route.source.name for route in translation.snapshot.routes} == {"neighbour"}
