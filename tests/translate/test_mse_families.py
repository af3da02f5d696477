"""What each MSE annotation asks for: values and limits, and one finding for each that cannot be used."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.translate.annotations.draft import HttpsRedirect, PlannedBackend
from controlplane.translate.annotations.registry import ROWS
from controlplane.translate.annotations.row import Support
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.ingresses import plan_ingress
from controlplane.translate.paths import PathOptions
from proxy.model.actions import Algorithm, FixedResponse, HashKey, HashSource, Redirect, Sticky
from proxy.model.conditions import (
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    TextKind,
)
from proxy.model.policies import (
    Access,
    ConcurrencyLimit,
    Cors,
    HeaderChange,
    HeaderOperation,
    LimitScope,
    PathRewriteKind,
    RateLimit,
    Retry,
    RetryScope,
    Rewrite,
    ValueSource,
)
from proxy.policies.limits import Limiters
from proxy.policies.route import RoutePolicies
from tests.support.mse import drafted, ingress, nginx, routed
from tests.support.tables import table_of

LIMITED = FixedResponse(429, "local_rate_limited")
BUSY = FixedResponse(503, "Too many requests.\n")
SENTINEL = FixedResponse(429, "sentinel rate limited")
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
HEADERS = (
    "DNT", "X-CustomHeader", "Keep-Alive", "User-Agent", "X-Requested-With", "If-Modified-Since",
    "Cache-Control", "Content-Type", "Authorization",
)  # fmt: skip
ON = {"enable-cors": "true"}
SCOPE = "fleetgate.io/retry-scope"
STICKY = {"affinity": "cookie"}
SVC = "web.demo.svc.cluster.local"
SET, ADD, REMOVE = HeaderOperation.SET, HeaderOperation.ADD, HeaderOperation.REMOVE

VALID: list[tuple[dict[str, str], str, Any]] = [
    # Headers
    ({"request-header-control-add": 'x-a  1 2\n"x-b" \'3\''}, "request_headers",
     [HeaderChange(ADD, "x-a", "1 2"), HeaderChange(ADD, "x-b", "3")]),
    ({"request-header-control-update": "x-a 1", "request-header-control-remove": "x-b, x-c"},
     "request_headers",
     [HeaderChange(REMOVE, "x-b"), HeaderChange(REMOVE, "x-c"), HeaderChange(SET, "x-a", "1")]),
    ({"response-header-control-add": "x-a 1"}, "response_headers", [HeaderChange(ADD, "x-a", "1")]),
    ({"x-forwarded-prefix": "/shop"}, "request_headers", [HeaderChange(SET, "X-Forwarded-Prefix", "/shop")]),
    # Times and tries
    ({"timeout": "0"}, "response_timeout_s", 0.0),
    ({"timeout": "86400", "proxy-read-timeout": "5"}, "response_timeout_s", 86400.0),
    ({"proxy-read-timeout": "3600"}, "response_timeout_s", 3600.0),
    # Bodies
    ({"proxy-body-size": "0"}, "max_body_bytes", 0),
    ({"proxy-body-size": "1000"}, "max_body_bytes", 1000),
    ({"proxy-body-size": "8m"}, "max_body_bytes", 8 << 20),
    ({"proxy-body-size": "64K"}, "max_body_bytes", 64 << 10),
    ({"proxy-body-size": "2G"}, "max_body_bytes", 2 << 30),
    ({"proxy-body-size": ""}, "max_body_bytes", None),
    ({"proxy-next-upstream": "error timeout"}, "retry", Retry()),
    ({"proxy-next-upstream": "off"}, "retry", Retry(tries=1)),
    ({"proxy-next-upstream": "http_404 non_idempotent"},
     "retry", Retry(statuses=(404,), non_idempotent=True)),
    ({"proxy-next-upstream": "error,http_500"}, "retry", Retry(statuses=(500, 502, 503, 504))),
    ({"proxy-next-upstream-tries": "5", "proxy-next-upstream-timeout": "2"}, "retry",
     Retry(tries=5, try_timeout_s=2.0)),
    ({"proxy-next-upstream-tries": "0"}, "retry", Retry(tries=100)),
    ({SCOPE: "same-cluster"}, "retry", Retry(scope=RetryScope.SAME_CLUSTER)),
    ({SCOPE: "None"}, "retry", Retry(scope=RetryScope.NONE)),
    ({SCOPE: "any"}, "retry", None),
    ({SCOPE: "same-cluster", "proxy-next-upstream-tries": "5"}, "retry",
     Retry(tries=5, scope=RetryScope.SAME_CLUSTER)),
    # Cross-origin requests
    (ON, "cors", Cors(("*",), METHODS, HEADERS, (), True, 1_728_000)),
    ({**ON, "cors-allow-origin": "https://*.example.com, http://a.example:8080"}, "cors",
     Cors(("https://*.example.com", "http://a.example:8080"), METHODS, HEADERS, (), True, 1_728_000)),
    ({**ON, "cors-allow-origin": "https://a.example,*",
      "cors-max-age": "-1", "cors-allow-credentials": "false"},
     "cors", Cors(("*",), METHODS, HEADERS, (), False, -1)),
    ({**ON, "cors-allow-methods": "GET", "cors-allow-headers": "*", "cors-expose-headers": "X-A,X-B"}, "cors",
     Cors(("*",), ("GET",), ("*",), ("X-A", "X-B"), True, 1_728_000)),
    ({"enable-cors": "false"}, "cors", None),
    # Paths
    ({}, "paths", PathOptions(specific_is_prefix=True)),
    ({"use-regex": "true"}, "paths", PathOptions(specific_is_prefix=True, is_regex=True)),
    (nginx({"use-regex": "true"}), "paths",
     PathOptions(specific_is_prefix=True, is_regex=True, regex_ignores_case=True)),
    (nginx({"use-regex": "false"}), "paths", PathOptions(specific_is_prefix=True)),
    ({"full-path-regex": "true"}, "paths",
     PathOptions(specific_is_prefix=True, is_regex=True, is_full=True)),
    ({"ignore-path-case": "true"}, "paths", PathOptions(specific_is_prefix=True, ignores_case=True)),
    ({"rewrite-target": "/$2/x"}, "paths",
     PathOptions(specific_is_prefix=True, is_regex=True, is_regex_if_special=True)),
    (nginx({"rewrite-target": "/$2/x"}), "paths",
     PathOptions(specific_is_prefix=True, is_regex=True, is_regex_if_special=True, regex_ignores_case=True)),
    ({"rewrite-target": "/x"}, "paths", PathOptions(specific_is_prefix=True, is_regex_if_special=True)),
    ({"rewrite-target": "/$2/x"}, "rewrite", Rewrite(path="/${2}/x")),
    ({"rewrite-target": r"/\1${3}"}, "rewrite", Rewrite(path="/${1}${3}")),
    ({"rewrite-target": "/"}, "rewrite", Rewrite(path="/")),
    ({"rewrite-target": "/a?b=c"}, "rewrite", Rewrite(path="/a", query="b=c&${query}")),
    ({"rewrite-target": "/a?b=$1?"}, "rewrite", Rewrite(path="/a", query="b=${1}")),
    ({"rewrite-target": "/a?"}, "rewrite", Rewrite(path="/a", query="")),
    ({"rewrite-target": "/v1$uri"}, "rewrite", Rewrite(path="/v1${path}")),
    ({"rewrite-target": "/v1$request_uri"}, "rewrite", Rewrite(path="/v1${path}")),
    ({"x-forwarded-prefix": "/$1/$host"}, "request_headers",
     [HeaderChange(SET, "X-Forwarded-Prefix", "/${1}/${host}", ValueSource.TEMPLATE)]),
    ({"rewrite-target": "/café/$1"}, "rewrite", Rewrite(path="/caf%C3%A9/${1}")),
    ({"rewrite-path": "/é"}, "rewrite", Rewrite(path="/%C3%A9", path_kind=PathRewriteKind.MATCHED)),
    ({"app-root": "/é"}, "app_root", "/%C3%A9"),
    ({"permanent-redirect": "https://a.example/é?q=é"},
     "answer", Redirect(301, location="https://a.example/%C3%A9?q=%C3%A9")),
    ({"rewrite-path": "/v1"}, "rewrite", Rewrite(path="/v1", path_kind=PathRewriteKind.MATCHED)),
    ({"upstream-vhost": "in.example.com:8080"}, "rewrite", Rewrite(host="in.example.com:8080")),
    ({"server-alias": "WWW.example.com, *.example.org"}, "aliases", ("www.example.com", "*.example.org")),
    # Redirects
    ({"temporal-redirect": "https://a.example/x?y=1"},
     "answer", Redirect(302, location="https://a.example/x?y=1")),
    ({"temporal-redirect": "http://a.example", "temporal-redirect-code": "307"}, "answer",
     Redirect(307, location="http://a.example")),
    ({"permanent-redirect": "https://a.example/$1?x=$2"}, "answer",
     Redirect(301, "https", "a.example", "443", "/${1}", "x=${2}")),
    ({"permanent-redirect": "https://a.example$1"}, "answer",
     Redirect(301, "https", "a.example", "443", "${1}", "")),
    ({"permanent-redirect": "https://$1.a.example/"}, "answer",
     Redirect(301, "https", "${1}.a.example", "443", "/", "")),
    ({"permanent-redirect": "$scheme://www.$host$request_uri"}, "answer",
     Redirect(301, host="www.${host}")),
    ({"permanent-redirect": "https://a.example/x${request_uri}"}, "answer",
     Redirect(301, "https", "a.example", "443", "/x${path}")),
    ({"temporal-redirect": "https://a.example/?to=$request_uri"}, "answer",
     Redirect(302, "https", "a.example", "443", "/", "to=${request_uri}")),
    ({"temporal-redirect": "https://a.example$uri$is_args$args"}, "answer",
     Redirect(302, "https", "a.example", "443")),
    ({"temporal-redirect": "https://a.example:81/#/$1"}, "answer",
     Redirect(302, location="https://a.example:81/#/${1}")),
    ({"rewrite-target": "https://a.example/v2/$1"}, "answer",
     Redirect(302, "https", "a.example", "443", "/v2/${1}")),
    ({"rewrite-target": "https://a.example/v2/$1"}, "paths",
     PathOptions(specific_is_prefix=True, is_regex=True, is_regex_if_special=True)),
    ({"rewrite-target": "https://a.example/v2"}, "answer",
     Redirect(302, "https", "a.example", "443", "/v2")),
    ({"rewrite-target": "https://a.example/v2?a=b"}, "answer",
     Redirect(302, "https", "a.example", "443", "/v2", "a=b&${query}")),
    ({"rewrite-target": "https://a.example/v2?"}, "answer",
     Redirect(302, "https", "a.example", "443", "/v2", "")),
    ({"rewrite-target": "https://a.example/", "permanent-redirect": "https://b.example/"}, "answer",
     Redirect(301, location="https://b.example/")),
    ({"permanent-redirect": "https://a.example$request_uri"},
     "answer", Redirect(301, "https", "a.example", "443")),
    ({"permanent-redirect": "http://a.example:81$request_uri", "permanent-redirect-code": "308"}, "answer",
     Redirect(308, "http", "a.example", "81")),
    ({"ssl-redirect": "false"}, "to_https", None),
    ({"force-ssl-redirect": "true"}, "to_https",
     HttpsRedirect(Redirect(308, protocol="https", port="443"),
                   "metadata.annotations[mse.ingress.kubernetes.io/force-ssl-redirect]")),
    ({"force-ssl-redirect": "true"}, "answer", None),
    ({"app-root": "/app"}, "app_root", "/app"),
    # Addresses
    ({"whitelist-source-range": "10.0.0.1, 192.168.1.5/16,2001:db8::/32"}, "access",
     Access(("10.0.0.1/32", "192.168.0.0/16", "2001:db8::/32"))),
    ({"denylist-source-range": "10.0.0.0/8"}, "access", Access(deny=("10.0.0.0/8",))),
    ({"blacklist-source-range": "10.0.0.0/8", "allowlist-source-range": "::/0"}, "access",
     Access(("::/0",), ("10.0.0.0/8",))),
    ({"domain-whitelist-source-range": "10.0.0.0/8"}, "host_access", Access(("10.0.0.0/8",))),
    ({"domain-blacklist-source-range": "10.0.0.0/8"}, "host_access", Access(deny=("10.0.0.0/8",))),
    # Limits
    ({"route-limit-rps": "10"}, "rate_limits", [RateLimit(10, LIMITED, 1, 50)]),
    ({"route-limit-rpm": "60", "route-limit-burst-multiplier": "2"}, "rate_limits",
     [RateLimit(60, LIMITED, 60, 120)]),
    ({"limit-rps": "1", "limit-rpm": "30", "limit-burst-multiplier": "1"}, "rate_limits",
     [RateLimit(30, BUSY, 60, 30, LimitScope.CLIENT), RateLimit(1, BUSY, 1, 1, LimitScope.CLIENT)]),
    ({"rate-limit": "7"}, "rate_limits", [RateLimit(7, SENTINEL)]),
    ({"rate-limit": "7", "rate-limit-fallback-custom-response-code": "503",
      "rate-limit-fallback-custom-response-body-type": "JSON",
      "rate-limit-fallback-custom-response-body": '{"a":1}'},
     "rate_limits", [RateLimit(7, FixedResponse(503, '{"a":1}', "application/json"))]),
    ({"rate-limit": "7", "rate-limit-fallback-redirect-url": "https://a.example/busy"}, "rate_limits",
     [RateLimit(7, Redirect(302, location="https://a.example/busy"))]),
    ({"concurrency-limit": "9", "concurrency-limit-fallback-custom-response-body": "later"}, "concurrency",
     ConcurrencyLimit(9, FixedResponse(429, "later"))),
    # Endpoints
    ({"load-balance": "round_robin"}, "algorithm", Algorithm.ROUND_ROBIN),
    ({"load-balance": "least_conn"}, "algorithm", Algorithm.LEAST_CONNECTION),
    ({"load-balance": "random"}, "algorithm", Algorithm.RANDOM),
    ({"upstream-hash-by": "$http_x_user"}, "hash_key", HashKey(HashSource.HEADER, "x-user")),
    ({"upstream-hash-by": "$arg_User"}, "hash_key", HashKey(HashSource.QUERY, "User")),
    ({"upstream-hash-by": "$cookie_user"}, "hash_key", HashKey(HashSource.COOKIE, "user")),
    ({"upstream-hash-by": "$request_uri$host"}, "hash_key",
     HashKey(HashSource.URI, then=(HashKey(HashSource.HOST),))),
    ({"upstream-hash-by": "${uri}-x-$http_x_user:$arg_a.b"}, "hash_key",
     HashKey(HashSource.PATH, then=(HashKey(HashSource.HEADER, "x-user"), HashKey(HashSource.QUERY, "a.b")))),
    ({"upstream-hash-by": "$request_uri"}, "algorithm", Algorithm.HASH),
    ({"upstream-hash-by": "$remote_addr"}, "hash_key", HashKey(HashSource.CLIENT)),
    ({"warmup": "30"}, "slow_start_s", 30.0),
    (STICKY, "sticky", Sticky("INGRESSCOOKIE")),
    ({**STICKY, "session-cookie-name": "S", "session-cookie-path": "/a", "session-cookie-max-age": "60"},
     "sticky", Sticky("S", max_age_s=60, path="/a")),
    ({**STICKY, "session-cookie-expires": "60"}, "sticky", Sticky("INGRESSCOOKIE", max_age_s=60)),
    ({**STICKY, "session-cookie-max-age": "0"}, "sticky", Sticky("INGRESSCOOKIE")),
    # Services
    ({"destination": f"60% {SVC}:80\n40% next.other.svc:http"}, "backends",
     (PlannedBackend("demo/web:80", 60), PlannedBackend("other/next:http", 40))),
    ({"destination": SVC}, "backends", (PlannedBackend("demo/web:", 100),)),
    ({"destination": SVC, "default-backend": "spare"}, "backends",
     (PlannedBackend("demo/web:", 100, fallbacks=(PlannedBackend("demo/spare:"),)),)),
    ({"default-backend": "other/spare"}, "default_backend", PlannedBackend("other/spare:")),
    ({"fallback-service": "spare.demo.svc.cluster.local:3000"}, "default_backend",
     PlannedBackend("demo/spare:3000")),
    ({"default-backend": "spare", "custom-http-errors": "503, 404"}, "error_statuses", (404, 503)),
    ({"mirror-target-service": "other/shadow:80"}, "mirror", (PlannedBackend("other/shadow:80"),)),
    ({"mirror-target-service": "shadow", "mirror-percentage": "10"}, "mirror_percent", 10),
    ({"mirror-target-service": "shadow", "mirror-percentage": "150"}, "mirror_percent", 100),
    ({"mirror-target-service": "shadow", "mirror-percentage": "0"}, "mirror", ()),
    # Conditions
    ({"match-method": "GET POST"}, "conditions", [MethodCondition(("GET", "POST"))]),
    ({"higress.io/exact-match-header-Stage": "gray"}, "conditions",
     [HeaderCondition("stage", ("gray",), TextKind.EXACT)]),
    ({"prefix-match-query-Q": "a b"}, "conditions", [QueryCondition((("Q", "a b"),), TextKind.PREFIX)]),
    ({"regex-match-header-x": "a|b"}, "conditions", [HeaderCondition("x", ("a|b",), TextKind.REGEX)]),
    ({"exact-match-pseudo-header-method": "GET"}, "conditions", [MethodCondition(("GET",))]),
    ({"regex-match-pseudo-header-authority": ".*[.]a"},
     "conditions", [HostCondition((".*[.]a",), TextKind.REGEX)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotations", "field", "expected"),
    VALID,
    ids=[f"{row[1]}-{number}" for number, row in enumerate(VALID)],
)
def test_values_that_can_be_used(annotations: Mapping[str, str], field: str, expected: object) -> None:
    draft, found = drafted(annotations)
    assert getattr(draft, field) == expected
    assert found == []


RATE = {"rate-limit": "7"}
LIMIT_URL = "rate-limit-fallback-redirect-url"
INVALID: list[tuple[dict[str, str], str]] = [
    ({"request-header-control-add": "x-a"}, "lines of a header and its value"),
    ({"request-header-control-add": ""}, "lines of a header and its value"),
    ({"request-header-control-update": "Content-Length 5"}, "lines of a header"),
    ({"request-header-control-update": "Host a.example"}, "lines of a header"),
    ({"request-header-control-add": "x:a 1"}, "lines of a header"),
    ({"request-header-control-add": "x-a \x00"}, "lines of a header"),
    ({"request-header-control-add": "x_a 1"}, "lines of a header"),
    ({"temporal-redirect": "https://a.example:65536$request_uri"}, "http://"),
    ({"response-header-control-remove": "Transfer-Encoding"}, "a comma list of headers"),
    ({"proxy-body-size": "8mb"}, "0 to 1048576g"),
    ({"proxy-body-size": "-1"}, "0 to 1048576g"),
    ({"proxy-body-size": "1.5m"}, "0 to 1048576g"),
    ({"proxy-body-size": "2000000g"}, "0 to 1048576g"),
    ({"proxy-body-size": "unlimited"}, "0 to 1048576g"),
    ({"response-header-control-remove": " , "}, "a comma list of headers"),
    ({"x-forwarded-prefix": ""}, "printable"),
    ({"x-forwarded-prefix": "/a\x7f"}, "printable"),
    ({"timeout": "-1"}, "0 to 86400"),
    ({"timeout": "86401"}, "0 to 86400"),
    ({"timeout": "5s"}, "0 to 86400"),
    ({"proxy-read-timeout": "0"}, "1 to 86400"),
    ({"proxy-next-upstream": "errors"}, "error, timeout"),
    ({"proxy-next-upstream": ""}, "error, timeout"),
    ({"proxy-next-upstream-tries": "101"}, "0 to 100"),
    ({"proxy-next-upstream-timeout": "x"}, "0 to 86400"),
    ({SCOPE: "cluster"}, "any, same-cluster, none"),
    ({SCOPE: ""}, "any, same-cluster, none"),
    ({"enable-cors": "on"}, "true, false"),
    ({**ON, "cors-allow-origin": "https://a.example/path, b c"}, "origins"),
    ({**ON, "cors-allow-methods": "GET;POST"}, "methods"),
    ({**ON, "cors-allow-headers": "X A"}, "header names"),
    ({**ON, "cors-max-age": "-2"}, "-1 to 31536000"),
    ({**ON, "cors-allow-credentials": "maybe"}, "true, false"),
    ({"use-regex": "yes"}, "true, false"),
    ({"full-path-regex": "2"}, "true, false"),
    ({"ignore-path-case": "no"}, "true, false"),
    ({"rewrite-target": "x"}, "$1 to $9"),
    ({"rewrite-target": "/$nonsense"}, "$1 to $9"),
    ({"rewrite-target": ""}, "a path"),
    ({"rewrite-path": "v1"}, "a path"),
    ({"rewrite-path": "/$1"}, "and $"),
    ({"upstream-vhost": "$host"}, "a host name"),
    ({"upstream-vhost": "a b"}, "a host name"),
    ({"server-alias": "~^a$"}, "DNS names"),
    ({"server-alias": "1.2.3.4"}, "DNS names"),
    ({"server-alias": ""}, "DNS names"),
    ({"temporal-redirect": "ftp://a.example/"}, "http://"),
    ({"temporal-redirect": "/path"}, "http://"),
    ({"permanent-redirect": "https://a.example/$nonsense"}, "$request_uri"),
    ({"permanent-redirect": "https://a.example/$"}, "$request_uri"),
    ({"permanent-redirect": "https://$1/"}, "$request_uri"),
    ({"permanent-redirect": "https://a.$1/"}, "$request_uri"),
    ({"permanent-redirect": "https://$1a.example/"}, "$request_uri"),
    ({"permanent-redirect": "https://a.example.$1.com/"}, "$request_uri"),
    ({"permanent-redirect": "https://a@b.example/"}, "$request_uri"),
    ({"permanent-redirect": "https://a.example$1#x"}, "$request_uri"),
    ({"permanent-redirect": "https://a.example/\r\nX: y"}, "$request_uri"),
    ({"rewrite-target": "https://$1/"}, "$request_uri"),
    ({"rewrite-target": "/a#b"}, "without #"),
    ({"x-forwarded-prefix": "/$nonsense"}, "$request_uri"),
    ({"permanent-redirect": "https://a.example", "permanent-redirect-code": "304"}, "301, 302"),
    ({"permanent-redirect": "https://a.example", "permanent-redirect-code": "200"}, "301, 302"),
    ({"ssl-redirect": "yes"}, "true, false"),
    ({"app-root": "app"}, "a path other than /"),
    ({"app-root": "/"}, "a path other than /"),
    ({"whitelist-source-range": "10.0.0.0/33"}, "10.0.0.0/8"),
    ({"whitelist-source-range": ""}, "10.0.0.0/8"),
    ({"denylist-source-range": "a.example"}, "10.0.0.0/8"),
    ({"domain-whitelist-source-range": "fe80::1%eth0"}, "10.0.0.0/8"),
    ({"route-limit-rps": "0"}, "1 to 1000000"),
    ({"route-limit-rpm": "1000001"}, "1 to 1000000"),
    ({"route-limit-rps": "1", "route-limit-burst-multiplier": "0"}, "1 to 1000"),
    ({"limit-rps": "1.5"}, "1 to 1000000"),
    ({"limit-rpm": "x"}, "1 to 1000000"),
    ({"rate-limit": "0"}, "1 to 1000000"),
    ({**RATE, "rate-limit-fallback-custom-response-code": "600"}, "200 to 599"),
    ({**RATE, "rate-limit-fallback-custom-response-body-type": "xml"}, "text, json"),
    ({**RATE, "rate-limit-fallback-custom-response-body-type": "json",
      "rate-limit-fallback-custom-response-body": "{"}, "JSON"),
    ({**RATE, "rate-limit-fallback-custom-response-body": "x" * 4097}, "4096"),
    ({**RATE, LIMIT_URL: "a.example"}, "http://"),
    ({**RATE, LIMIT_URL: "https://a.example", "rate-limit-fallback-custom-response-code": "503"},
     "one of the two"),
    ({"concurrency-limit": "-1"}, "1 to 1000000"),
    ({"load-balance": "mcp-sse"}, "round_robin"),
    ({"upstream-hash-by": "$request_uri$nonsense"}, "$request_uri"),
    ({"upstream-hash-by": "$request_uri$"}, "$request_uri"),
    ({"upstream-hash-by": "a"}, "$request_uri"),
    ({"upstream-hash-by": ""}, "$request_uri"),
    ({"warmup": "3601"}, "0 to 3600"),
    ({"affinity": "ip"}, "cookie"),
    ({**STICKY, "session-cookie-name": "a b"}, "1 to 200"),
    ({**STICKY, "session-cookie-path": "a;b"}, "without ;"),
    ({**STICKY, "session-cookie-max-age": "-1"}, "0 to"),
    ({"destination": "web:80"}, "<Service>.<namespace>.svc"),
    ({"destination": f"60% {SVC} v1"}, "<Service>.<namespace>.svc"),
    ({"destination": f"101% {SVC}"}, "<weight>%"),
    ({"destination": f"60% {SVC}\n{SVC}:81"}, "<weight>%"),
    ({"destination": f"0% {SVC}"}, "<weight>%"),
    ({"destination": f"{SVC}:0"}, "<Service>.<namespace>.svc"),
    ({"destination": ""}, "<Service>.<namespace>.svc"),
    ({"default-backend": "a/b/c"}, "<namespace>/<name>"),
    ({"default-backend": "spare:80"}, "<namespace>/<name>"),
    ({"fallback-service": "spare"}, "svc"),
    ({"default-backend": "spare", "custom-http-errors": "200"}, "300 to 599"),
    ({"default-backend": "spare", "custom-http-errors": ""}, "300 to 599"),
    ({"mirror-target-service": "a b"}, "<namespace>/"),
    ({"mirror-target-service": "shadow:99999"}, "<namespace>/"),
    ({"mirror-target-service": "shadow", "mirror-percentage": "x"}, "from 0"),
    ({"match-method": "GET FETCH"}, "GET, HEAD"),
    ({"match-method": ""}, "GET, HEAD"),
    ({"exact-match-header-a b": "x"}, "a name of"),
    ({"prefix-match-query-q": ""}, "begin with"),
    ({"regex-match-header-x": "(?<!a)b"}, "RE2"),
    ({"exact-match-pseudo-header-path": "/"}, "authority"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotations", "allowed"),
    INVALID,
    ids=[f"{list(row[0])[-1]}-{number}" for number, row in enumerate(INVALID)],
)
def test_values_that_cannot_be_used(annotations: Mapping[str, str], allowed: str) -> None:
    _, (finding,) = drafted(annotations)
    assert (finding.code, finding.level) == ("FG0201", "error")
    assert allowed in finding.allowed


IDLE: list[tuple[dict[str, str], str]] = [
    ({"temporal-redirect-code": "307"}, "temporal-redirect-code"),
    (
        {"temporal-redirect": "http://a.example", "permanent-redirect": "http://b.example"},
        "permanent-redirect",
    ),
    ({"ssl-redirect": "true", "temporal-redirect": "http://a.example"}, "ssl-redirect"),
    ({"rewrite-target": "/", "rewrite-path": "/v1"}, "rewrite-path"),
    ({"whitelist-source-range": "::/0", "allowlist-source-range": "::/0"}, "allowlist-source-range"),
    ({"denylist-source-range": "::/0", "blacklist-source-range": "::/0"}, "blacklist-source-range"),
    ({"route-limit-rpm": "1", "route-limit-rps": "1"}, "route-limit-rps"),
    ({"route-limit-burst-multiplier": "1"}, "route-limit-burst-multiplier"),
    ({"limit-burst-multiplier": "1"}, "limit-burst-multiplier"),
    ({"rate-limit-fallback-custom-response-code": "503"}, "rate-limit-fallback-custom-response-code"),
    ({"upstream-hash-by": "$host", "load-balance": "random"}, "load-balance"),
    ({"load-balance": "random", "warmup": "5"}, "warmup"),
    ({"session-cookie-name": "a"}, "session-cookie-name"),
    ({**STICKY, "session-cookie-max-age": "5", "session-cookie-expires": "5"}, "session-cookie-expires"),
    ({"custom-http-errors": "503"}, "custom-http-errors"),
    ({"default-backend": "spare", "fallback-service": f"{SVC}:80"}, "fallback-service"),
    ({"mirror-percentage": "5"}, "mirror-percentage"),
]


@pytest.mark.parametrize(("annotations", "name"), IDLE, ids=[name for _, name in IDLE])
def test_an_annotation_that_says_nothing_beside_others_is_told(
    annotations: Mapping[str, str], name: str
) -> None:
    _, (finding,) = drafted(annotations)
    assert (finding.code, finding.level) == ("FG0204", "info")
    assert finding.field.endswith(f"/{name}]")


@pytest.mark.parametrize(
    "annotations", [{"load-balance": "ewma"}, {"destination": f"60% {SVC}\n60% {SVC}:81"}]
)
def test_an_annotation_that_is_done_differently_is_told(annotations: Mapping[str, str]) -> None:
    _, (finding,) = drafted(annotations)
    assert finding.code == "FG0202"


def test_the_spelling_of_nginx_wins() -> None:
    draft, _ = drafted({**nginx({"server-alias": "a.example"}), "server-alias": "b.example"})
    assert draft.aliases == ("a.example",)
    only_vendor, _ = drafted(nginx({"timeout": "5"}))
    assert only_vendor == drafted({})[0]


@pytest.mark.parametrize(
    ("annotations", "note"),
    [
        ({"backend-protocol": "HTTP2"}, "HTTP/1.1"),
        ({"backend-protocol": "GRPC"}, "HTTP/1.1"),
        ({"limit-whitelist": "10.0.0.0/8"}, "limited too"),
        ({"rpc-destination-name": "x"}, "do not speak HTTP"),
    ],
)
def test_rules_that_would_do_something_else_are_not_used(annotations: Mapping[str, str], note: str) -> None:
    routes, (finding,) = routed(ingress("web", annotations))
    assert routes == {}
    assert (finding.code, finding.level) == ("FG0203", "error")
    assert note in finding.message


@pytest.mark.parametrize(
    "annotations",
    [
        {"backend-protocol": "HTTP"},
        {"enable-modsecurity": "false"},
        {"affinity-mode": "persistent"},
        {"proxy-http-version": "1.1"},
        {"enable-access-log": "true"},
    ],
)
def test_an_annotation_that_asks_for_nothing_else_is_not_told(annotations: Mapping[str, str]) -> None:
    routes, found = routed(ingress("web", annotations))
    assert (list(routes), found) == (["web"], [])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("proxy-buffering", "FG0204"),
        ("auth-realm", "FG0204"),
        ("proxy-ssl-verify-depth", "FG0212"),
        ("ssl-ciphers", "FG0212"),
    ],
)
def test_an_annotation_that_has_no_effect_is_told(name: str, code: str) -> None:
    routes, (finding,) = routed(ingress("web", nginx({name: "x"})))
    assert (list(routes), finding.code) == (["web"], code)


def test_the_root_of_an_application_is_a_redirect_at_each_host() -> None:
    routes, found = routed(ingress("web", {"app-root": "/app", "server-alias": "www.example.com"}))
    assert found == []
    assert routes["web"].action == Redirect(302, path="/app", query="")


def test_the_root_of_an_application_is_reached_by_https_alone() -> None:
    routes, _ = routed(ingress("web", {"app-root": "/app", "force-ssl-redirect": "true"}))
    policies = routes["web"].policies
    assert policies is not None
    assert policies.to_https == Redirect(308, protocol="https", port="443")


@pytest.mark.parametrize(
    ("annotations", "written"),
    [
        ({"permanent-redirect": "https://a.example/$2"}, "the redirect"),
        ({"x-forwarded-prefix": "/$2"}, "X-Forwarded-Prefix"),
        ({"rewrite-target": "/$1?x=$2"}, "rewrite-target"),
    ],
)
def test_groups_that_the_path_has_not(annotations: Mapping[str, str], written: str) -> None:
    one = ingress("web", {**annotations, "use-regex": "true"}, path="/a/(.*)", path_type="Prefix")
    _, found = routed(one)
    (finding,) = [item for item in found if item.code == "FG0311"]
    assert finding.message.startswith(f"{written} has ${{2}}, but the path has 1 group")


@pytest.mark.parametrize(
    ("further", "shadowed"),
    [
        ({"canary-weight": "50"}, ["canary-weight"]),
        ({"canary-weight": "0"}, []),
        ({"canary-by-cookie": "c"}, ["canary-by-cookie"]),
        ({"canary-by-cookie": "c", "canary-weight": "1"}, ["canary-weight", "canary-by-cookie"]),
    ],
)
def test_requests_that_ingress_nginx_would_send_to_a_canary_besides_are_a_warning(
    further: dict[str, str], shadowed: list[str]
) -> None:
    annotations = nginx({"canary": "true", "canary-by-header": "stage", **further})
    _, found = routed(ingress("base"), ingress("canary", annotations, service="next"))
    fields = [f"metadata.annotations[nginx.ingress.kubernetes.io/{name}]" for name in shadowed]
    assert [item.field for item in found if item.code == "FG0232"] == fields
    assert {item.level for item in found if item.code == "FG0232"} <= {"warning"}


@pytest.mark.parametrize(("behavior", "codes"), [("sticky", []), ("legacy", ["FG0204"])])
def test_clients_stay_with_the_canary_as_the_note_says(behavior: str, codes: list[str]) -> None:
    annotations = {**STICKY, "affinity-canary-behavior": behavior}
    plan_found = Findings(Subject("Ingress", "demo", "web"))
    plan_ingress(ingress("web", annotations), Dialect.MSE, plan_found)
    assert [item.code for item in plan_found.items] == codes


def test_addresses_of_a_host_hold_for_rules_of_others_without_their_own() -> None:
    routes, found = routed(
        ingress("says", {"domain-whitelist-source-range": "10.0.0.0/8"}, path="/a"),
        ingress("other", path="/b"),
        ingress("own", {"whitelist-source-range": "192.168.0.0/16"}, path="/c"),
        ingress("elsewhere", host="other.example.com"),
    )
    access = {
        name: route.policies.access if route.policies is not None else None for name, route in routes.items()
    }
    inside = Access(("10.0.0.0/8",))
    assert access == {
        "says": inside,
        "other": inside,
        "own": Access(("192.168.0.0/16",)),
        "elsewhere": None,
    }
    assert found == []


def test_of_two_that_say_other_addresses_the_older_holds() -> None:
    routes, (finding,) = routed(
        ingress("a", {"domain-whitelist-source-range": "10.0.0.0/8"}, created="2026-02-01T00:00:00Z"),
        ingress("b", {"domain-whitelist-source-range": "::/0"}, path="/b"),
    )
    policies = routes["a"].policies
    assert policies is not None
    assert policies.access == Access(("::/0",))
    assert (finding.code, finding.name) == ("FG0705", "a")


def test_the_root_of_an_application_takes_the_place_of_a_rule_for_it() -> None:
    found = Findings(Subject("Ingress", "demo", "web"))
    one = ingress("web", {"app-root": "/app"}, path="/", path_type="Exact")
    plan = plan_ingress(one, Dialect.MSE, found)
    assert [route.id for route in plan.routes] == ["demo/web/example.com/:exact"]
    assert plan.routes[0].action == Redirect(302, path="/app", query="")
    assert found.items == []


ROWS_OF_MSE = sorted(row.name for row in ROWS if row.dialect is Dialect.MSE and row.support is Support.WORKS)
ODDITIES = (
    "$1",
    "${path}",
    "${",
    "\\1",
    "?",
    "#",
    ":",
    "/",
    "*",
    "_",
    "-",
    " ",
    "\n",
    "%",
    "é",
    '"',
    "9",
    "99999",
    "(",
)
PIECES = st.sampled_from([*(value for row in VALID for value in row[0].values()), *ODDITIES])
TEXTS = st.lists(PIECES, min_size=1, max_size=3).map("".join)


@settings(max_examples=400)
@given(
    st.dictionaries(
        st.sampled_from(ROWS_OF_MSE).map(lambda name: name.replace("*", "x-a")), TEXTS, max_size=4
    )
)
def test_every_route_that_is_made_can_be_used_by_a_worker(annotations: dict[str, str]) -> None:
    routes, _ = routed(ingress("web", {**annotations, "canary": "false"}))
    for route in routes.values():
        RoutePolicies(route, Limiters())
    table_of(list(routes.values()))


@pytest.mark.parametrize(("annotations", "field", "expected"), VALID)
def test_routes_of_valid_annotations_can_be_used(
    annotations: Mapping[str, str], field: str, expected: object
) -> None:
    for route in routed(ingress("web", annotations))[0].values():
        RoutePolicies(route, Limiters())
        table_of([route])
