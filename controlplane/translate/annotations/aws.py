"""Annotations that only the AWS Load Balancer Controller reads; it shares its prefix with ALB."""

from collections.abc import Iterator
from typing import Final

from controlplane.translate.annotations.guards import GUARDS, NOTES
from controlplane.translate.annotations.row import ALB, Annotation, Support
from controlplane.translate.annotations.unsupported import Meaning, flag, number, text, unsupported, word
from controlplane.translate.dialects import Dialect

_JSON: Final = "JSON, as AWS documents it"
_ARN: Final = "an ARN"
_LIST: Final = "a comma list"

_PROTECTING: Final[dict[str, Meaning]] = {
    "auth-type": word("asks clients to log in", "cognito, oidc, none", "none"),
    "auth-idp-cognito": text("names the user pool that clients log in to", _JSON),
    "auth-idp-oidc": text("names the OpenID provider that clients log in to", _JSON),
    "auth-on-unauthenticated-request": word(
        "decides about clients that are not logged in", "authenticate, allow, deny", "authenticate"
    ),
    "jwt-validation": text("admits only requests with a valid token", _JSON),
    "mutual-authentication": text("asks clients for a certificate", _JSON),
    "inbound-cidrs": text("admits only clients with these addresses", "a comma list of networks"),
    "security-groups": text("admits only clients that the security groups allow", _LIST),
    "security-group-prefix-lists": text("admits only clients of the prefix lists", _LIST),
    "wafv2-acl-arn": text("inspects requests with a web application firewall", _ARN),
    "wafv2-acl-name": text("inspects requests with a web application firewall", "a name"),
    "waf-acl-id": text("inspects requests with a web application firewall", "an id"),
    "web-acl-id": text("inspects requests with a web application firewall", "an id"),
    "shield-advanced-protection": flag("shields the load balancer from floods"),
}
_OTHERS: Final[dict[str, Meaning]] = {
    "scheme": word("makes the load balancer public or private", "internal, internet-facing", "internal"),
    "target-type": word("says whether nodes or pods are endpoints", "instance, ip", "instance"),
    "subnets": text("says where the load balancer is", _LIST),
    "group.name": text("puts Ingresses on one load balancer", "a name"),
    "group.order": number("orders the Ingresses of a group", "-1000 to 1000", "0"),
    "load-balancer-name": text("names the load balancer", "a name"),
    "load-balancer-attributes": text("configures the load balancer", "a comma list of key=value"),
    "load-balancer-capacity-reservation": text("reserves capacity", "CapacityUnits=<number>"),
    "minimum-load-balancer-capacity": text("reserves capacity", "CapacityUnits=<number>"),
    "listener-attributes.*": text("configures a listener", "a comma list of key=value"),
    "target-group-attributes": text("configures the target group", "a comma list of key=value"),
    "target-node-labels": text("chooses nodes as endpoints by their labels", "a comma list of key=value"),
    "target-control-port.*": number("is the port of the target control agent", "1 to 65535"),
    "multi-cluster-target-group": flag("lets several clusters register endpoints"),
    "ip-address-type": word("chooses IPv4 or both", "ipv4, dualstack, dualstack-without-public-ipv4", "ipv4"),
    "ipam-ipv4-pool-id": text("chooses the pool of addresses", "an id"),
    "customer-owned-ipv4-pool": text("chooses the pool of addresses", "an id"),
    "manage-backend-security-group-rules": flag("opens the nodes for the load balancer"),
    "certificate-arn": text("names the certificates of HTTPS listeners", "a comma list of ARNs"),
    "ssl-policy": text("names the versions and ciphers of TLS", "the name of a policy"),
    "success-codes": text("says which statuses a health check expects", "statuses, as 200-299"),
    "healthcheck-port": text("is the port of health checks", "a port, or traffic-port", "traffic-port"),
    "backend-protocol-version": word("is the version of HTTP for endpoints", "HTTP1, HTTP2, GRPC", "HTTP1"),
    "auth-scope": text("lists the scopes that a login asks for", "scopes with spaces between them", "openid"),
    "auth-session-cookie": text("names the cookie of a login", "a name", "AWSELBAuthSessionCookie"),
    "auth-session-timeout": number("is how long a login holds", "seconds", "604800"),
    "transforms.*": text("rewrites host and path", _JSON),
    "use-regex-path-match": flag("reads paths as regular expressions"),
    "tags": text("tags the created resources", "a comma list of key=value"),
    "enable-frontend-nlb": flag("puts a network load balancer in front"),
    "frontend-nlb-*": text("configures the network load balancer in front", "depends on the key"),
}
_READER: Final = "only the AWS Load Balancer Controller reads it"
_NEUTRAL: Final = ("", "none", "false")


def _rows() -> Iterator[Annotation]:
    for name, meaning in _PROTECTING.items():
        note = f"{_READER}, so {NOTES[GUARDS[name]]}"
        yield from unsupported(Dialect.ALB, (ALB,), Support.REFUSED, note, {name: meaning}, _NEUTRAL)
    yield from unsupported(Dialect.ALB, (ALB,), Support.NO_EFFECT, _READER, _OTHERS)


ROWS: Final = tuple(_rows())
