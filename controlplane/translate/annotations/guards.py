"""Annotations that users rely on: those that protect an Ingress, and those that limit or hide it.

The table goes by name without prefix: dialects that share a name mean the same by it.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Final

from controlplane.translate.dialects import Dialect


class Guard(StrEnum):
    """The protection that an Ingress loses when the annotation is ignored."""

    LOGIN = "login"  # clients need no password or token
    CERTIFICATES = "certificates"  # clients need no certificate
    ADDRESSES = "addresses"  # allow and deny lists do not hold
    INSPECTION = "inspection"  # no firewall reads the requests
    MATCHING = "matching"  # rules take requests that they were not written for
    FOREIGN = "foreign"  # configuration of another proxy is lost, with all its effects
    LIMIT = "limit"  # clients may do more, or endpoints get more
    TLS = "tls"  # a connection is plain text, or its peer is not verified
    EXPOSURE = "exposure"  # clients come from farther away


PROTECTING: Final = frozenset(
    (Guard.LOGIN, Guard.CERTIFICATES, Guard.ADDRESSES, Guard.INSPECTION, Guard.MATCHING, Guard.FOREIGN)
)
"""Guards that decide which clients get in. An Ingress is closed when one of them cannot be honoured."""

_BY_GUARD: Final[Mapping[Guard, str]] = {
    Guard.LOGIN: """
        auth-type auth-url auth-secret auth-snippet enable-global-auth
        auth-idp-cognito auth-idp-oidc auth-on-unauthenticated-request jwt-validation
    """,
    Guard.CERTIFICATES: """
        auth-tls-secret auth-tls-verify-client auth-tls-match-cn mutual-authentication
    """,
    Guard.ADDRESSES: """
        whitelist-source-range allowlist-source-range denylist-source-range blacklist-source-range
        domain-whitelist-source-range domain-blacklist-source-range
        inbound-cidrs security-groups security-group-prefix-lists
    """,
    Guard.INSPECTION: """
        enable-modsecurity enable-owasp-core-rules modsecurity-snippet
        wafv2-acl-arn wafv2-acl-name waf-acl-id web-acl-id shield-advanced-protection
    """,
    Guard.MATCHING: """
        conditions.* match-method
        exact-match-header-* prefix-match-header-* regex-match-header-*
        exact-match-query-* prefix-match-query-* regex-match-query-*
        exact-match-pseudo-header-* prefix-match-pseudo-header-* regex-match-pseudo-header-*
    """,
    Guard.FOREIGN: "configuration-snippet server-snippet wasmplugin",
    Guard.LIMIT: """
        limit-rps limit-rpm limit-connections limit-rate limit-rate-after
        global-rate-limit global-rate-limit-window global-rate-limit-key
        route-limit-rpm route-limit-rps rate-limit concurrency-limit
        connection-policy-tcp-max-connection connection-policy-tcp-max-connection-per-endpoint
        connection-policy-http-max-request-per-connection
        traffic-limit-qps traffic-limit-ip-qps
    """,
    Guard.TLS: """
        ssl-redirect force-ssl-redirect ssl-cipher ssl-ciphers ssl-prefer-server-ciphers
        tls-min-protocol-version tls-max-protocol-version ssl-policy certificate-arn
        proxy-ssl-secret proxy-ssl-verify proxy-ssl-verify-depth proxy-ssl-name proxy-ssl-server-name
        proxy-ssl-ciphers proxy-ssl-protocols secure-verify-ca-secret
    """,
    Guard.EXPOSURE: "scheme address-type",
}
GUARDS: Final[Mapping[str, Guard]] = {
    name: guard for guard, names in _BY_GUARD.items() for name in names.split()
}

NOTES: Final[Mapping[Guard, str]] = {
    Guard.LOGIN: "clients would get in without a login",
    Guard.CERTIFICATES: "clients would get in without a certificate",
    Guard.ADDRESSES: "every address would get in",
    Guard.INSPECTION: "requests would reach the endpoints without an inspection",
    Guard.MATCHING: "the rules would take requests that do not meet it, from every address",
    Guard.FOREIGN: "configuration of another proxy is not read, and may decide which clients get in",
    Guard.LIMIT: "an Ingress of this class has other annotations for limits",
    Guard.TLS: "an Ingress of this class does not get TLS from it",
    Guard.EXPOSURE: "listeners are open on every address of the machine",
}
"""The finding's text where no row of the dialect has a note of its own."""

_BEFORE: Final = " before you change the annotation"
_REMEDIES: Final[Mapping[Guard, str]] = {
    Guard.LOGIN: "let the application, or a proxy in front of its Service, log clients in" + _BEFORE,
    Guard.CERTIFICATES: "let a proxy in front of the gateway ask for certificates" + _BEFORE,
    Guard.INSPECTION: "put a firewall that reads requests in front of the gateway" + _BEFORE,
    Guard.MATCHING: "write it as conditions.<service> for ALB, or match-method and exact-match-* for MSE"
    + _BEFORE,
    Guard.FOREIGN: "find out which paths or clients it protects, and protect them in another way" + _BEFORE,
    Guard.LIMIT: "limit requests in another way; docs/annotations.md has the limits that work",
    Guard.TLS: "terminate TLS in front of the gateway where clients need it, and verify endpoints with"
    " proxy-ssl-verify of an MSE Ingress",
    Guard.EXPOSURE: "start fleetgate with --listen and a private address, or put a firewall in front",
}
_ADDRESS_REMEDIES: Final[Mapping[Dialect, str]] = {
    Dialect.ALB: "write the addresses into aclConfig of the AlbConfig's listener, or use an Ingress of an"
    " MseIngressConfig" + _BEFORE,
    Dialect.MSE: "write the addresses into whitelist-source-range or denylist-source-range" + _BEFORE,
}

FOREIGN_PREFIXES: Final = frozenset(
    (
        "traefik.ingress.kubernetes.io/", "ingress.kubernetes.io/", "nginx.org/", "nginx.com/",
        "haproxy.org/", "haproxy-ingress.github.io/", "ingress.haproxy.org/", "konghq.com/",
        "projectcontour.io/", "appgw.ingress.kubernetes.io/", "k8s.apisix.apache.org/",
        "ingress.cilium.io/", "cloud.google.com/", "networking.gke.io/",
    )
)  # fmt: skip
"""Prefixes of controllers that users migrate from. Findings name only their annotations that protect."""

_TOKENS: Final = frozenset(
    (
        *("auth", "authn", "authz", "authenticate", "authentication", "authorization"),
        *("oauth", "oauth2", "oidc", "saml", "jwt", "sso", "mtls", "iap"),
        *("acl", "cidr", "cidrs", "whitelist", "allowlist", "denylist", "blacklist"),
        *("ipwhitelist", "ipallowlist", "waf", "modsecurity", "owasp", "firewall"),
        *("snippet", "snippets", "middleware", "middlewares", "plugin", "plugins", "policies"),
    )
)
_PAIRS: Final = frozenset(
    (
        *(("allow", "list"), ("deny", "list"), ("white", "list"), ("black", "list"), ("source", "range")),
        *(("client", "cert"), ("ip", "restriction"), ("security", "groups"), ("backend", "config")),
    )
)
_SPLIT: Final = re.compile(r"[^a-z0-9]+")


def seems_protecting(name: str) -> bool:
    """Whether the name of an unknown annotation suggests that the annotation protects."""
    words = _SPLIT.split(name.lower())
    return not (_TOKENS.isdisjoint(words) and _PAIRS.isdisjoint(pairwise(words)))


def remedy(guard: Guard, dialect: Dialect) -> str:
    """Return the fix for a guard that an Ingress of this dialect cannot have."""
    return _ADDRESS_REMEDIES[dialect] if guard is Guard.ADDRESSES else _REMEDIES[guard]
