"""Pages of FG03: the spec of an Ingress."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0301": Page(
        "The host of the rule is no DNS name, and no wildcard in its first label.",
        "host: shop_1.example.com",
        "Write a DNS name without port and scheme, or *. and a DNS name.",
    ),
    "FG0302": Page(
        "The path of the rule cannot be used with its pathType and the annotations about paths.",
        "path: api",
        "Begin the path with /, and write a path that the finding allows.",
    ),
    "FG0303": Page(
        "The pathType is none of the three that Kubernetes has.",
        "pathType: Prefx",
        "Write Exact, Prefix or ImplementationSpecific.",
    ),
    "FG0304": Page(
        "The backend of the rule does not name a Service with one port, or lacks its annotation.",
        "backend: {service: {name: web, port: {}}}",
        "Name the Service and one port, by number or by name.",
    ),
    "FG0305": Page(
        "The rule has an object instead of a Service as backend, a bucket for example.",
        "backend: {resource: {apiGroup: k8s.example.com, kind: Bucket, name: static}}",
        "Put a Service in front of the object, or a ServerGroup with its address.",
    ),
    "FG0306": Page(
        "The rule has only a host, and there is no default backend that would take its requests.",
        "rules: [{host: shop.example.com}]",
        "Add http.paths to the rule, or spec.defaultBackend to the Ingress.",
    ),
    "FG0307": Page(
        "The Ingress asks for TLS, and its rules are on no HTTPS listener. HTTP listeners serve them.",
        "tls: [{hosts: [shop.example.com], secretName: shop-tls}]",
        "Add an HTTPS listener to the gateway, and name it in listen-ports where the Ingress has any. Or"
        " terminate TLS in front of the gateway, in a load balancer that is a --trusted-proxy.",
    ),
    "FG0320": Page(
        "The gateway may not list the Secrets of a namespace whose certificates it needs.",
        "a namespace without a RoleBinding for the gateway",
        "Bind the ClusterRole fleetgate-certificates in the namespace: deploy/rbac/fleet-tls.yaml shows how."
        " Certificates that were read before stay in use.",
    ),
    "FG0321": Page(
        "The Secret does not exist, or is of another type than kubernetes.io/tls.",
        "tls: [{hosts: [shop.example.com], secretName: shop-tsl}]",
        "Create the Secret in the namespace of the Ingress, or correct the name.",
    ),
    "FG0322": Page(
        "The Secret holds no certificate with its private key that can be used. A pair that was used before"
        " stays in use until the Secret is mended.",
        "tls.crt and tls.key of two different pairs",
        "Put the certificate, its chain and its private key into the Secret, as PEM.",
    ),
    "FG0323": Page(
        "The certificate is served, and clients refuse it: the host is not among its names.",
        "a certificate for www.example.com under the host shop.example.com",
        "Put a certificate for the host into the Secret.",
    ),
    "FG0324": Page(
        "The entry has no secretName, and no Secret of the namespace has a certificate for the host.",
        "tls: [{hosts: [shop.example.com]}]",
        "Name the Secret, or create a Secret whose certificate is for the host.",
    ),
    "FG0325": Page(
        "The certificate ends within three weeks, or has ended. Clients refuse it afterwards.",
        "a certificate that nobody renews",
        "Renew the certificate in the Secret. The next handshake uses the new one.",
    ),
    "FG0326": Page(
        "The Secret with the authorities that sign certificates of clients does not exist. Until it does, no"
        " client gets in, or those of the last good authorities.",
        "auth-tls-secret: shop/shop-tls-cacert",
        "Create the Secret with the key ca.crt in that namespace, or correct the name.",
    ),
    "FG0327": Page(
        "The Secret has no ca.crt with certificates of authorities. Until it has, no client gets in, or those"
        " of the last good authorities.",
        "a ca.crt with the certificate of a server",
        "Put the certificates of the authorities into ca.crt, as PEM.",
    ),
    "FG0328": Page(
        "Two Ingresses demand certificates of different authorities for one host. A handshake can ask for one"
        " kind only, so the older Ingress decides, and the rules of the younger one are closed.",
        "auth-tls-secret: shop/a-cacert on one Ingress, shop/b-cacert on the other",
        "Name the same Secret in both, or use two hosts.",
    ),
    "FG0329": Page(
        "The host demands certificates of its clients, and a rule of it is where none is checked: on an HTTP"
        " listener, or on an HTTPS listener where the host has no certificate of its own.",
        "auth-tls-secret on a gateway with HTTP:80, without ssl-redirect",
        "Write ssl-redirect, and name the host in spec.tls. Clients without a certificate must not get past"
        " the demand, so these requests stay refused.",
    ),
    "FG0308": Page(
        "The Ingress has neither rules nor a default backend, so there is nothing to serve.",
        "spec: {ingressClassName: alb}",
        "Add a rule.",
    ),
    "FG0309": Page(
        "The rule changes responses, but no rule of the Ingress about requests has its host and path.",
        "alb.ingress.kubernetes.io/rule-direction.web: Response",
        "Give this rule the host and path of the rule whose responses it should change.",
    ),
    "FG0310": Page(
        "A value of the rule, or of an annotation that concerns it, passed all other checks, and no worker"
        " could use it. The last good version of the Ingress stays live.",
        "path: /(((",
        "Write a value that the finding allows; expressions are RE2's, without look-around and"
        " back-references.",
    ),
    "FG0311": Page(
        "The rewrite uses a group of the path that the path does not have.",
        "rewrite-target: /$2 with path: /api/(.*)",
        "Put the intended part of the path into parentheses, or use a group that the path has.",
    ),
    "FG0312": Page(
        "The rule wants a header whose name has an underscore. Requests with such headers are answered 400,"
        " since servers read them as other names.",
        "nginx.ingress.kubernetes.io/canary-by-header: x_stage",
        "Name the header with hyphens, in the rule and in clients.",
    ),
}
