"""Pages of FG02: annotations."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0201": Page(
        "The annotation cannot have this value.",
        'alb.ingress.kubernetes.io/order: "5000"',
        "Write a value that the finding allows. The last good version of the Ingress stays live until then.",
    ),
    "FG0202": Page(
        "The annotation works here, with a difference that the message describes.",
        "nginx.ingress.kubernetes.io/load-balance: ewma",
        "Read the note in the message, which is also in docs/annotations.md; nothing has to change where the"
        " difference does not matter.",
    ),
    "FG0203": Page(
        "The gateway does not support the annotation, and without it the rules would have another meaning."
        " The gateway does not use the Ingress in this form.",
        "mse.ingress.kubernetes.io/rpc-destination-name: dubbo",
        "Use the alternative that the note names, or leave the Ingress to a controller that supports the"
        " annotation.",
    ),
    "FG0204": Page(
        "The annotation changes nothing here; the rules have the same effect without it.",
        'nginx.ingress.kubernetes.io/proxy-buffering: "on"',
        "Nothing has to be done. The annotation may stay or go.",
    ),
    "FG0205": Page(
        "The annotation is on an object of one kind, and the gateway reads it on another kind only.",
        "alb.ingress.kubernetes.io/remote-clusters on an Ingress",
        "Move the annotation to the kind that the finding names.",
    ),
    "FG0206": Page(
        "The annotation names a Service after its last dot, and no rule of the Ingress has this backend.",
        "alb.ingress.kubernetes.io/conditions.wbe: '[…]'",
        "Correct the name of the Service in the key.",
    ),
    "FG0207": Page(
        "The annotation belongs to the other dialect, ALB's or MSE's, and limits neither the allowed clients"
        " nor the requests.",
        "mse.ingress.kubernetes.io/timeout: '5' on an Ingress of class alb",
        "Write the annotation of the dialect of this class, or leave it where another controller reads it.",
    ),
    "FG0208": Page(
        "The JSON of the annotation has an unknown field.",
        'alb.ingress.kubernetes.io/conditions.web: \'[{"type": "Header", "headrConfig": {}}]\'',
        "Correct the name of the field; the finding lists the known fields.",
    ),
    "FG0209": Page(
        "The gateway cannot check the health of endpoints in this protocol.",
        "alb.ingress.kubernetes.io/healthcheck-protocol: GRPC",
        "Use HTTP or TCP, or rely on the readiness of pods and the outcome of requests.",
    ),
    "FG0210": Page(
        "The annotation decides which clients get in: by password, token, certificate or address, by"
        " inspection of requests, or by configuration of another proxy that may do so. This gateway"
        " cannot honour the annotation for an Ingress of this class. The rules of the Ingress answer 503 to"
        " every client, so that no client gets in and no rule of another Ingress takes their place.",
        "nginx.ingress.kubernetes.io/auth-url: https://auth.example.com/verify",
        "Move the protection to where it works: an address list to an Ingress of an MseIngressConfig or to"
        " aclConfig of the AlbConfig's listener, a login to the application or to a proxy in front of its"
        " Service. Take the annotation away only after that, because the Ingress is open from then on.",
    ),
    "FG0211": Page(
        "The gateway knows no annotation with this key, and its name suggests that it decides which clients"
        " get in. The rules of the Ingress answer 503 to every client, because a slip of the pen must not"
        " open them.",
        "nginx.ingress.kubernetes.io/whitelist-source-rnage: 10.0.0.0/8",
        "Correct the key. If it belongs to another controller, protect the Service in another way first.",
    ),
    "FG0212": Page(
        "The annotation asks for a limit, for TLS or for a private address, which this gateway does not"
        " offer for an Ingress of this class. The Ingress is served without the annotation.",
        'nginx.ingress.kubernetes.io/limit-connections: "10"',
        "Rely on another means: a limit that works here (docs/annotations.md), the network, or a"
        " TLS terminator in front.",
    ),
    "FG0213": Page(
        "The gateway reads annotations with this prefix, but knows none with this name.",
        'alb.ingress.kubernetes.io/ordr: "1"',
        "Correct the key.",
    ),
    "FG0214": Page(
        "The annotations are those of the AWS Load Balancer Controller, which shares the prefix"
        " alb.ingress.kubernetes.io/ with Alibaba Cloud's ALB but no more than a few names.",
        "alb.ingress.kubernetes.io/scheme: internal",
        "Keep the Ingress with the AWS controller, or write the Ingress for ALB: listeners are in the"
        " AlbConfig, weights and conditions in docs/annotations.md.",
    ),
    "FG0230": Page(
        "The annotation redirects requests that came by http to https. No listener of this gateway takes"
        " HTTPS, and no proxy in front of it is trusted to say that a request came by https, so the"
        " redirected request comes by http again.",
        'nginx.ingress.kubernetes.io/force-ssl-redirect: "true", and fleetgate run without --trusted-proxy',
        "Start the gateway with --trusted-proxy and the addresses of the load balancer that takes HTTPS; it"
        " has to send X-Forwarded-Proto. Where clients are meant to use http, leave the annotation out.",
    ),
    "FG0231": Page(
        "The Redirect of an ALB action changes nothing but the protocol. A request that came by https, as"
        " a trusted proxy reports it, is redirected to its own URL.",
        'actions.web: \'[{"type": "Redirect", "RedirectConfig": {"protocol": "HTTPS", "port": "443"}}]\'',
        'Let the rule forward to its Service, with alb.ingress.kubernetes.io/ssl-redirect: "true": this'
        " annotation redirects only requests that came by http.",
    ),
    "FG0232": Page(
        "A canary Ingress has several ways to choose requests. Here, as in Higress, the first of header,"
        " query, cookie and weight decides alone; ingress-nginx goes on to the next way for requests without"
        " the header.",
        'nginx.ingress.kubernetes.io/canary-by-header: stage beside canary-weight: "50"',
        "Write a second canary Ingress with the same host and path that has the other annotation.",
    ),
}
