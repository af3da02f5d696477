"""The table of annotations has all that the two dialects have, and says of each what becomes of it."""

import pytest

from controlplane.translate.annotations.guards import GUARDS
from controlplane.translate.annotations.registry import ROWS, check_keys, lookup, note_approximated
from controlplane.translate.annotations.row import ALB, MSE, NGINX, VENDOR, Annotation, Scope, Support
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect

WORKS, APPROXIMATED = Support.WORKS, Support.APPROXIMATED
NO_EFFECT, REFUSED = Support.NO_EFFECT, Support.REFUSED

NGINX_SPELLED = {
    # The 51 annotations of ingress-nginx that MSE says it supports
    "affinity": WORKS,
    "affinity-canary-behavior": NO_EFFECT,
    "affinity-mode": NO_EFFECT,
    "app-root": WORKS,
    "auth-realm": NO_EFFECT,
    "auth-secret": REFUSED,
    "auth-secret-type": NO_EFFECT,
    "auth-tls-secret": WORKS,
    "auth-type": REFUSED,
    "backend-protocol": WORKS,
    "canary": WORKS,
    "canary-by-cookie": WORKS,
    "canary-by-header": WORKS,
    "canary-by-header-pattern": WORKS,
    "canary-by-header-value": WORKS,
    "canary-weight": WORKS,
    "canary-weight-total": WORKS,
    "cors-allow-credentials": WORKS,
    "cors-allow-headers": WORKS,
    "cors-allow-methods": WORKS,
    "cors-allow-origin": WORKS,
    "cors-expose-headers": WORKS,
    "cors-max-age": WORKS,
    "custom-http-errors": WORKS,
    "default-backend": WORKS,
    "denylist-source-range": WORKS,
    "enable-cors": WORKS,
    "force-ssl-redirect": WORKS,
    "load-balance": WORKS,
    "permanent-redirect": WORKS,
    "permanent-redirect-code": WORKS,
    "proxy-next-upstream": WORKS,
    "proxy-next-upstream-timeout": WORKS,
    "proxy-next-upstream-tries": WORKS,
    "proxy-ssl-name": WORKS,
    "proxy-ssl-secret": WORKS,
    "proxy-ssl-server-name": WORKS,
    "proxy-ssl-verify": WORKS,
    "rewrite-target": WORKS,
    "server-alias": WORKS,
    "session-cookie-expires": WORKS,
    "session-cookie-max-age": WORKS,
    "session-cookie-name": WORKS,
    "session-cookie-path": WORKS,
    "ssl-cipher": WORKS,
    "ssl-redirect": WORKS,
    "temporal-redirect": WORKS,
    "upstream-hash-by": WORKS,
    "upstream-vhost": WORKS,
    "use-regex": WORKS,
    "whitelist-source-range": WORKS,
}
# Of ingress-nginx, which MSE passes over; some of them work here
NOT_IN_MSE = """
    auth-snippet configuration-snippet enable-modsecurity limit-connections limit-rps mirror-uri
    modsecurity-snippet proxy-body-size proxy-buffer-size proxy-buffering proxy-buffers-number
    proxy-connect-timeout proxy-read-timeout proxy-send-timeout server-snippet stream-snippet
"""
MSE_OWN = """
    blacklist-source-range canary-by-cookie-value canary-by-query canary-by-query-pattern
    canary-by-query-value concurrency-limit concurrency-limit-fallback-custom-response-body
    concurrency-limit-fallback-custom-response-body-type concurrency-limit-fallback-custom-response-code
    concurrency-limit-fallback-redirect-url connection-policy-http-max-request-per-connection
    connection-policy-tcp-max-connection connection-policy-tcp-max-connection-per-endpoint destination
    domain-blacklist-source-range domain-whitelist-source-range exact-match-header-x
    exact-match-pseudo-header-x exact-match-query-x fallback-service full-path-regex http2rpc-name
    ignore-path-case match-method mcp-server mcp-server-path mcp-sse-stateful-param-name mirror-percentage
    mirror-target-fqdn mirror-target-fqdn-port mirror-target-service prefix-match-header-x
    prefix-match-pseudo-header-x prefix-match-query-x rate-limit
    rate-limit-fallback-custom-response-body rate-limit-fallback-custom-response-body-type
    rate-limit-fallback-custom-response-code rate-limit-fallback-redirect-url regex-match-header-x
    regex-match-pseudo-header-x regex-match-query-x request-header-control-add
    request-header-control-remove request-header-control-update response-header-control-add
    response-header-control-remove response-header-control-update rewrite-path route-limit-burst-multiplier
    route-limit-rpm route-limit-rps rpc-destination-name service-subset subset-labels timeout
    tls-max-protocol-version tls-min-protocol-version warmup wasmplugin
"""
ALB_SPELLED = """
    access-log actions.s address-allocated-mode address-type albconfig.name albconfig.order
    backend-keepalive backend-label backend-protocol backend-scheduler backend-scheduler-uch-value canary
    canary-by-cookie canary-by-header canary-by-header-value canary-weight charge-type cluster-weight.c1
    conditions.s connection-drain-enabled connection-drain-timeout cookie cookie-timeout
    cors-allow-credentials cors-allow-headers cors-allow-methods cors-allow-origin cors-expose-headers
    cors-max-age cross-zone-enabled edition enable-cors force-override-listeners healthcheck-code
    healthcheck-connect-port healthcheck-enabled healthcheck-httpcode healthcheck-httpversion
    healthcheck-interval-seconds healthcheck-method healthcheck-path healthcheck-protocol
    healthcheck-timeout-seconds healthy-threshold-count id listen-ports name order remote-clusters
    remove-unscheduled-backend rewrite-target rule-direction.s server-group-id slow-start-duration
    slow-start-enabled ssl-redirect sticky-session sticky-session-type traffic-limit-ip-qps
    traffic-limit-qps unhealthy-threshold-count use-regex vswitch-ids
"""

KEYS = [
    *((NGINX + name, Dialect.MSE) for name in (*NGINX_SPELLED, *NOT_IN_MSE.split())),
    *((vendor + name, Dialect.MSE) for vendor in VENDOR for name in (*NGINX_SPELLED, *MSE_OWN.split())),
    *((ALB + name, Dialect.ALB) for name in ALB_SPELLED.split()),
    *((NGINX + name, Dialect.ALB) for name in ("canary", "canary-weight", "ssl-redirect")),
]


def test_mse_says_it_supports_51_annotations_of_nginx() -> None:
    assert len(NGINX_SPELLED) == 51


@pytest.mark.parametrize(("key", "dialect"), KEYS)
def test_every_key_of_the_dialects_has_a_row(key: str, dialect: Dialect) -> None:
    (row,) = [row for row in lookup(key) if row.dialect in (None, dialect)]
    assert row.summary
    assert row.type
    assert row.allowed
    assert bool(row.note) == (row.support is not WORKS)


@pytest.mark.parametrize("name", NGINX_SPELLED)
@pytest.mark.parametrize("prefix", [NGINX, *VENDOR])
def test_an_annotation_of_nginx_works_or_a_finding_says_why_not(name: str, prefix: str) -> None:
    """Every annotation works, or a finding says what it does not do, and whether the rules are used."""
    (row,) = [row for row in lookup(prefix + name) if row.dialect is Dialect.MSE]
    assert row.support is NGINX_SPELLED[name]
    assert row.scope is Scope.INGRESS
    relied_on = "warning" if name in GUARDS else "info"
    levels = {WORKS: [], APPROXIMATED: ["info"], NO_EFFECT: [relied_on], REFUSED: ["error"]}
    found = Findings(Subject("Ingress", "demo", "web"))
    for report in (check_keys, note_approximated):
        report({prefix + name: "~"}, Scope.INGRESS, Dialect.MSE, found)
    assert [item.level for item in found.items] == levels[row.support]
    for item in found.items:
        assert (item.field, item.value) == (f"metadata.annotations[{prefix}{name}]", "~")
        assert row.note in item.message
        assert item.fix


def test_approximated_annotations_are_read_where_that_is_told() -> None:
    assert {row.scope for row in ROWS if row.support is APPROXIMATED} == {Scope.INGRESS}


def test_a_value_that_cannot_be_used_is_not_said_to_be_approximated_as_well() -> None:
    key = ALB + "rule-direction.s"
    found = Findings(Subject("Ingress", "demo", "web"))
    found.add("FG0201", f"metadata.annotations[{key}]", "Up", problem="is not a direction", allowed="")
    note_approximated({key: "Up"}, Scope.INGRESS, Dialect.ALB, found)
    assert [item.code for item in found.items] == ["FG0201"]


def test_other_keys_of_kubernetes_are_nobodys_mistake() -> None:
    found = Findings(Subject("Ingress", "demo", "web"))
    annotations = {"kubernetes.io/ingress.class": "alb", "kubernetes.io/tls-acme": "true"}
    check_keys(annotations, Scope.INGRESS, Dialect.ALB, found)
    assert found.items == []


def test_every_row_says_what_it_takes() -> None:
    incomplete = [row.name for row in ROWS if not (row.summary and row.type and row.allowed)]
    assert incomplete == []


def test_only_mcp_server_has_keys_that_are_not_known_one_by_one() -> None:
    assert _of(MSE + "mcp-server").support is REFUSED
    assert _of(MSE + "mcp-server-match-rule-type").name == "mcp-server-*"


def _of(key: str) -> Annotation:
    (row,) = lookup(key)
    return row
