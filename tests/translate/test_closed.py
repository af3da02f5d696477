"""A protection that cannot be honoured closes its Ingress, and no protection is passed over."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from controlplane.translate.annotations import aws
from controlplane.translate.annotations.guards import GUARDS, PROTECTING, Guard, seems_protecting
from controlplane.translate.annotations.registry import ROWS, check_keys
from controlplane.translate.annotations.row import (
    ALB,
    ANY_MSE,
    MSE,
    NGINX,
    VENDOR,
    Annotation,
    Scope,
    Support,
)
from controlplane.translate.catalogue import CATALOGUE
from controlplane.translate.closed import ANSWER
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.guide.pages import PAGES
from controlplane.translate.model import Translation
from proxy.model.actions import FixedResponse, Forward
from proxy.model.policies import Access
from proxy.model.snapshot import Route
from tests.support.translation import run_case

HTTP = {
    "paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}
    ]
}
MSE_GATEWAY = {
    "kind": "MseIngressConfig",
    "metadata": {
        "name": "mse",
        "annotations": {
            "mse.alibabacloud.com/remote-clusters": "cluster-1",
            "fleetgate.io/listeners": '[{"HTTP": 8002}]',
        },
    },
    "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
}
CLASSES = {Dialect.ALB: "alb", Dialect.MSE: "mse"}
PROTECTORS = [row for row in ROWS if GUARDS.get(row.name) in PROTECTING]
KEYS = {key for row in ROWS for key in row.keys}
REFUSED = [
    (key, dialect)
    for row in PROTECTORS
    for key in row.keys
    for dialect in Dialect
    if row.support is Support.REFUSED or row.dialect is not dialect
]


def ingress(
    dialect: Dialect, annotations: Mapping[str, str], name: str = "web", **spec: Any
) -> dict[str, Any]:
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "a", "name": name, "annotations": dict(annotations)},
        "spec": {
            "ingressClassName": CLASSES[dialect],
            "rules": [{"host": "shop.example.com", "http": HTTP}],
            **spec,
        },
    }


def translated(*ingresses: dict[str, Any], before: tuple[dict[str, Any], ...] = ()) -> Translation:
    case: dict[str, Any] = {
        "gateway": {"port": 80},
        "members": {"cluster-1": {"pods": {"a/s": 1}}, "cluster-2": {}},
        "fleet": [MSE_GATEWAY, *ingresses],
    }
    if before:
        case["before"] = {"fleet": [MSE_GATEWAY, *before]}
    return run_case(case)


def errors(translation: Translation) -> list[Diagnostic]:
    return [item for item in translation.diagnostics if item.level == "error"]


def only(translation: Translation) -> Route:
    (route,) = translation.snapshot.routes
    return route


def status(translation: Translation, name: str = "web") -> Any:
    (found,) = [each for each in translation.statuses if each.name == name and each.kind.kind == "Ingress"]
    return found.status["loadBalancer"]["ingress"]


@pytest.mark.parametrize(("key", "dialect"), REFUSED)
def test_a_protection_that_cannot_be_honoured_closes_the_ingress(key: str, dialect: Dialect) -> None:
    result = translated(ingress(dialect, {key: "10.0.0.0/8"}))
    (error,) = errors(result)
    assert (error.code, error.field) == ("FG0210", f"metadata.annotations[{key}]")
    assert error.message.endswith("; the rules of the Ingress answer 503")
    assert only(result).action == ANSWER
    assert status(result) == []


def test_auth_of_nginx_and_lists_of_both_are_refused_on_class_alb() -> None:
    keys = {key for key, dialect in REFUSED if dialect is Dialect.ALB}
    named = {NGINX + name for name in ("auth-url", "auth-secret", "whitelist-source-range", "server-snippet")}
    assert keys >= named | {MSE + "blacklist-source-range", ALB + "inbound-cidrs", ALB + "auth-type"}


@pytest.mark.parametrize("key", ["whitelist-source-range", "denylist-source-range"])
def test_a_list_that_the_dialect_has_is_honoured(key: str) -> None:
    result = translated(ingress(Dialect.MSE, {NGINX + key: "10.0.0.0/8"}))
    assert errors(result) == []
    route = only(result)
    assert isinstance(route.action, Forward)
    assert route.policies is not None
    assert route.policies.access is not None


@pytest.mark.parametrize(
    "name", [name for name, guard in GUARDS.items() if guard is Guard.ADDRESSES and MSE + name in KEYS]
)
def test_a_list_that_cannot_be_read_closes_the_ingress(name: str) -> None:
    result = translated(ingress(Dialect.MSE, {MSE + name: "10.0.0.0/33"}))
    assert [item.code for item in errors(result)] == ["FG0201"]
    assert only(result).action == ANSWER


def test_a_closed_rule_keeps_its_place_before_the_rules_of_others() -> None:
    """Left out, the rule for /admin would leave its requests to the open rule for /."""
    paths = [{**HTTP["paths"][0], "path": "/admin"}]
    admin = ingress(
        Dialect.ALB,
        {NGINX + "auth-url": "https://auth.example.com/"},
        "admin",
        rules=[{"host": "shop.example.com", "http": {"paths": paths}}],
    )
    result = translated(ingress(Dialect.ALB, {}), admin)
    actions = {route.path.value: route.action for route in result.snapshot.routes}
    assert actions["/admin"] == ANSWER
    assert isinstance(actions["/"], Forward)


@pytest.mark.parametrize(
    "backend",
    [
        {"resource": {"apiGroup": "x", "kind": "Bucket", "name": "b"}},
        {"service": {"name": "s", "port": {}}},
        {"service": {"name": "s", "port": {"name": "use-annotation"}}},
    ],
)
def test_a_closed_rule_keeps_its_place_whatever_its_backend(backend: dict[str, Any]) -> None:
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    result = translated(
        ingress(Dialect.ALB, {NGINX + "auth-type": "basic"}, rules=[{"http": {"paths": paths}}])
    )
    assert only(result).action == ANSWER


def test_nothing_of_a_closed_ingress_is_done() -> None:
    annotations = {
        NGINX + "auth-url": "https://auth.example.com/",
        MSE + "mirror-target-service": "a/s:80",
        NGINX + "permanent-redirect": "https://example.org/",
        NGINX + "app-root": "/app",
        NGINX + "enable-cors": "true",
    }
    result = translated(ingress(Dialect.MSE, annotations))
    assert {(type(route.action), route.policies) for route in result.snapshot.routes} == {
        (FixedResponse, None)
    }


def test_a_closed_canary_leaves_its_requests_to_its_base() -> None:
    canary = {NGINX + "canary": "true", NGINX + "canary-weight": "50", NGINX + "auth-type": "basic"}
    result = translated(ingress(Dialect.MSE, {}), ingress(Dialect.MSE, canary, "canary"))
    assert isinstance(only(result).action, Forward)
    assert errors(result)[0].message.endswith("; the Ingress is not served")


def test_an_edit_that_adds_a_protection_closes_what_was_open() -> None:
    """The last good version is the open one: it is what the edit was made to end."""
    edited = ingress(Dialect.ALB, {NGINX + "auth-url": "https://auth.example.com/"})
    result = translated(edited, before=(ingress(Dialect.ALB, {}),))
    assert only(result).action == ANSWER


@pytest.mark.parametrize("value", ["10.0.0.0/33", ""])
def test_an_edit_that_breaks_a_protection_leaves_the_last_good_one_live(value: str) -> None:
    key = NGINX + "whitelist-source-range"
    before = ingress(Dialect.MSE, {key: "10.0.0.0/8"})
    result = translated(ingress(Dialect.MSE, {key: value}), before=(before,))
    route = only(result)
    assert isinstance(route.action, Forward)
    assert route.policies is not None
    assert route.policies.access == Access(allow=("10.0.0.0/8",))
    assert errors(result)[0].message.endswith("; the last good version stays live")


def test_a_former_value_that_asked_for_nothing_protects_nothing() -> None:
    for key, value in ((NGINX + "auth-url", ""), (NGINX + "enable-modsecurity", "false")):
        before = ingress(Dialect.MSE, {key: value})
        assert isinstance(only(translated(before)).action, Forward)
        assert only(translated(ingress(Dialect.MSE, {key: "true"}), before=(before,))).action == ANSWER


def test_an_edit_that_adds_a_list_with_a_mistake_closes_what_was_open() -> None:
    edited = ingress(Dialect.MSE, {NGINX + "whitelist-source-range": "10.0.0.0/33"})
    assert only(translated(edited, before=(ingress(Dialect.MSE, {}),))).action == ANSWER


def test_another_mistake_in_a_closed_ingress_does_not_open_it() -> None:
    closed = ingress(Dialect.ALB, {NGINX + "auth-type": "basic"})
    edited = ingress(Dialect.ALB, {NGINX + "auth-type": "basic", ALB + "order": "x"})
    assert only(translated(edited, before=(closed,))).action == ANSWER


def test_a_list_for_a_whole_host_that_cannot_be_read_closes_the_host() -> None:
    guard = ingress(Dialect.MSE, {MSE + "domain-whitelist-source-range": "x"}, "guard")
    paths = [{**HTTP["paths"][0], "path": "/other"}]
    other = ingress(Dialect.MSE, {}, "other", rules=[{"host": "shop.example.com", "http": {"paths": paths}}])
    result = translated(guard, other)
    (route,) = [route for route in result.snapshot.routes if route.path.value == "/other"]
    assert route.policies is not None
    assert route.policies.access == Access(deny=("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    "key",
    [
        NGINX + "whitelist-source-rnage",  # a slip of the pen
        NGINX + "confguration-snippet",
        NGINX + "auth-something-new",
        VENDOR[1] + "oidc-issuer",
        ALB + "waf-policy",
        "traefik.ingress.kubernetes.io/router.middlewares",
        "nginx.org/basic-auth-secret",
        "haproxy.org/allow-list-cidr".replace("allow-list-cidr", "whitelist"),
        "konghq.com/plugins",
    ],
)
def test_an_unknown_key_that_reads_like_a_protection_closes_the_ingress(key: str, dialect: Dialect) -> None:
    result = translated(ingress(dialect, {key: "x"}))
    assert [(item.code, item.field) for item in errors(result)] == [
        ("FG0211", f"metadata.annotations[{key}]")
    ]
    assert only(result).action == ANSWER


@pytest.mark.parametrize(
    "key",
    [
        NGINX + "cors-allow-orgin",
        ALB + "ordr",
        "traefik.ingress.kubernetes.io/router.entrypoints",
        "cert-manager.io/cluster-issuer",
    ],
)
def test_other_unknown_keys_close_nothing(key: str) -> None:
    assert errors(translated(ingress(Dialect.MSE, {key: "x"}))) == []


@pytest.mark.parametrize("key", [NGINX + "limit-rps", NGINX + "limit-connections", MSE + "concurrency-limit"])
def test_limits_of_another_dialect_are_a_warning(key: str) -> None:
    result = translated(ingress(Dialect.ALB, {key: "5"}))
    assert [item.code for item in result.diagnostics if item.level == "warning"] == ["FG0212"]
    assert isinstance(only(result).action, Forward)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(("value", "limit"), [("0", 0), ("8m", 8 << 20), ("1g", 1 << 30), ("17", 17)])
def test_the_size_of_bodies_is_a_limit_that_every_dialect_has(
    value: str, limit: int, dialect: Dialect
) -> None:
    result = translated(ingress(dialect, {NGINX + "proxy-body-size": value}))
    assert [item for item in result.diagnostics if item.kind == "Ingress"] == []
    policies = only(result).policies
    assert policies is not None
    assert policies.max_body_bytes == limit


@pytest.mark.parametrize("name", ["force-ssl-redirect", "proxy-ssl-secret", "ssl-ciphers"])
def test_demands_for_tls_are_a_warning(name: str) -> None:
    result = translated(ingress(Dialect.ALB, {NGINX + name: "true"}))
    assert [item.code for item in result.diagnostics if item.level == "warning"] == ["FG0212"]


def test_the_dialect_of_aws_is_one_finding() -> None:
    keys = [
        "scheme",
        "target-type",
        "subnets",
        "group.name",
        "certificate-arn",
        "listener-attributes.HTTP-80",
    ]
    result = translated(ingress(Dialect.ALB, {ALB + key: "x" for key in keys}))
    (finding,) = [item for item in result.diagnostics if item.kind == "Ingress"]
    assert (finding.code, finding.level) == ("FG0214", "warning")
    assert ", ".join(sorted(keys)) in finding.message
    assert isinstance(only(result).action, Forward)


def test_every_guard_is_of_an_annotation_that_is_known() -> None:
    assert set(GUARDS) <= {row.name for row in ROWS}


def test_no_row_that_reads_like_a_protection_has_no_effect() -> None:
    """Those that configure a login which is refused itself are told apart by hand."""
    silent = {
        row.name
        for row in ROWS
        if row.support is Support.NO_EFFECT and seems_protecting(row.name) and row.name not in GUARDS
    }
    assert {name for name in silent if not name.startswith("auth-")} == {
        "global-rate-limit-ignored-cidrs",
        "stream-snippet",  # of TCP, which an Ingress has nothing to do with
    }
    refused = {name.rpartition("-")[0] for name in GUARDS if name.startswith("auth-")}
    assert all(
        any(name.startswith(prefix) for prefix in refused) for name in silent if name.startswith("auth-")
    )


def _findings(row: Annotation) -> list[Diagnostic]:
    """Return every finding that the annotation gets: in both dialects, and with values nobody can use."""
    found: list[Diagnostic] = []
    for dialect in Dialect:
        for value in ("", "~", "10.0.0.0/33", "on"):
            result = translated(ingress(dialect, {row.keys[0]: value}))
            found += [item for item in result.diagnostics if row.keys[0] in item.field]
    return found


_DOOR = re.compile(r"\b(remove|delete|drop|take .* away|leave it out)\b")


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in GUARDS], ids=lambda row: row.keys[0])
def test_no_fix_opens_a_door(row: Annotation) -> None:
    found = _findings(row)
    assert found
    for item in found:
        assert item.fix
        assert not _DOOR.search(item.fix), item.fix
        page = PAGES[item.code].fix
        assert not _DOOR.search(page) or "only after that" in page, page


def test_no_fix_says_that_there_is_a_note_elsewhere() -> None:
    assert [code for code, entry in CATALOGUE.items() if "see the note" in entry.fix] == []
    assert [row.name for row in ROWS if row.support is not Support.WORKS and not row.note] == []


def test_every_key_of_aws_that_protects_has_a_guard() -> None:
    guarded = {row.name for row in aws.ROWS if row.support is Support.REFUSED}
    assert {GUARDS[name] for name in guarded} <= PROTECTING


def test_nothing_is_told_of_a_protection_that_is_off() -> None:
    found = Findings(Subject("Ingress", "a", "web"))
    off = {
        NGINX + "auth-url": "",
        NGINX + "enable-modsecurity": "false",
        NGINX + "auth-tls-verify-client": "off",
        ALB + "auth-type": "none",
    }
    for dialect in Dialect:
        check_keys(off, Scope.INGRESS, dialect, found)
    assert {item.code for item in found.items} == {"FG0214"}
    assert Guard.LOGIN in PROTECTING
    assert NGINX in ANY_MSE
