"""What MSE, Higress and ingress-nginx have besides: without effect, or refused."""

from typing import Final

from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation, Support
from controlplane.translate.annotations.unsupported import unsupported
from controlplane.translate.dialects import Dialect

_OFF: Final = ("false", "off", "")


def _rows(
    support: Support,
    note: str,
    summaries: dict[str, str],
    neutral: tuple[str, ...] = _OFF,
    prefixes: tuple[str, ...] = ANY_MSE,
) -> tuple[Annotation, ...]:
    return unsupported(Dialect.MSE, prefixes, support, note, summaries, neutral)


_REFUSED: Final = (
    *_rows(
        Support.REFUSED,
        "endpoints are spoken to in HTTP/1.1 without TLS only, and would not understand",
        {
            "secure-backends": "speaks to endpoints with TLS",
            "grpc-backend": "speaks to endpoints in gRPC",
            "ssl-passthrough": "hands TLS connections on to endpoints",
        },
    ),
    *_rows(
        Support.REFUSED,
        "nobody would be asked who they are, and everybody let in",
        {
            "auth-type": "asks clients for a password",
            "auth-url": "asks another service whether a client may come",
            "auth-tls-secret": "asks clients for a certificate",
        },
        ("",),
    ),
    *_rows(
        Support.REFUSED,
        "nobody would be asked who they are, and everybody let in",
        {"enable-global-auth": "asks another service whether a client may come"},
    ),
    *_rows(
        Support.REFUSED,
        "requests would reach the endpoints without being looked at",
        {
            "enable-modsecurity": "looks at requests with ModSecurity",
            "enable-owasp-core-rules": "looks at requests with ModSecurity and the rules of OWASP",
            "modsecurity-snippet": "configures ModSecurity",
        },
    ),
    *_rows(
        Support.REFUSED,
        "it is configuration of nginx, which is not read: it may say who is let in, and what is answered",
        {
            "configuration-snippet": "adds configuration of nginx to the rules",
            "server-snippet": "adds configuration of nginx to the host",
        },
        ("",),
    ),
    *_rows(
        Support.REFUSED,
        "the clients that it exempts would be limited too",
        {
            "limit-whitelist": "exempts client addresses from the limits",
            "limit-allowlist": "exempts client addresses from the limits",
        },
        ("",),
    ),
    *_rows(
        Support.REFUSED,
        "requests would be divided otherwise than it says; canary annotations do that here",
        {
            "service-weight": "divides requests over Services by weight",
            "service-match": "chooses a Service by header, query or cookie",
        },
        ("",),
    ),
    *_rows(
        Support.REFUSED,
        "the Services behind it do not speak HTTP",
        {
            "rpc-destination-name": "turns HTTP requests into Dubbo calls",
            "http2rpc-name": "turns HTTP requests into Dubbo calls",
            "mcp-server": "makes the Service a server of the Model Context Protocol",
        },
        prefixes=VENDOR,
    ),
)
_TLS: Final = _rows(
    Support.NO_EFFECT,
    "there is no HTTPS listener yet that it could hold for",
    {
        "tls-min-protocol-version": "is the lowest version of TLS",
        "tls-max-protocol-version": "is the highest version of TLS",
        "ssl-cipher": "names the ciphers of TLS",
        "ssl-ciphers": "names the ciphers of TLS",
        "ssl-prefer-server-ciphers": "lets the gateway choose the cipher",
    },
)
_NO_EFFECT: Final = (
    *_rows(
        Support.NO_EFFECT,
        "authentication itself is refused, so there is nothing to configure",
        {
            "auth-secret": "names the Secret with the passwords",
            "auth-secret-type": "says how the passwords are written",
            "auth-realm": "is what clients are told the password is for",
            "auth-method": "is the method of auth-url",
            "auth-signin": "is where clients are sent to sign in",
            "auth-signin-redirect-param": "names the parameter with the way back",
            "auth-response-headers": "names headers that endpoints get from auth-url",
            "auth-request-redirect": "is X-Auth-Request-Redirect of auth-url",
            "auth-proxy-set-headers": "names headers that auth-url gets",
            "auth-cache-key": "remembers answers of auth-url",
            "auth-cache-duration": "is how long answers of auth-url are remembered",
            "auth-keepalive": "is how many connections to auth-url are kept",
            "auth-always-set-cookie": "hands on cookies of auth-url",
            "auth-snippet": "adds configuration of nginx to auth-url",
            "auth-tls-verify-client": "says which clients need a certificate",
            "auth-tls-verify-depth": "is the longest chain of certificates",
            "auth-tls-error-page": "is where clients without a certificate are sent",
            "auth-tls-pass-certificate-to-upstream": "hands the certificate on to endpoints",
            "satisfy": "says whether address or password is enough",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "endpoints are spoken to without TLS",
        {
            "proxy-ssl-secret": "names the Secret with the gateway's own certificate",
            "proxy-ssl-verify": "verifies the certificates of endpoints",
            "proxy-ssl-verify-depth": "is the longest chain of certificates of endpoints",
            "proxy-ssl-name": "is the name that endpoints are asked for in TLS",
            "proxy-ssl-server-name": "tells endpoints that name",
            "proxy-ssl-ciphers": "names the ciphers for endpoints",
            "proxy-ssl-protocols": "names the versions of TLS for endpoints",
            "secure-verify-ca-secret": "names the Secret with the authority of endpoints",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "bodies of any size are passed on as they come",
        {
            "proxy-body-size": "limits the size of request bodies",
            "client-body-buffer-size": "is how much of a request body is kept in memory",
            "proxy-buffering": "collects responses before they are sent",
            "proxy-buffer-size": "is the size of a buffer for responses",
            "proxy-buffers-number": "is the number of buffers for responses",
            "proxy-busy-buffers-size": "is the size of buffers that are being sent",
            "proxy-max-temp-file-size": "limits responses on disk",
            "proxy-request-buffering": "collects requests before they are sent",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "connections to endpoints are made and kept as the gateway has learned of them",
        {
            "proxy-connect-timeout": "is how long a connection to an endpoint may take",
            "proxy-send-timeout": "is how long an endpoint may take to receive something",
            "connection-proxy-header": "is the Connection header for endpoints",
            "service-upstream": "sends requests to the address of the Service instead of its pods",
            "connection-policy-tcp-max-connection": "limits connections to a Service",
            "connection-policy-tcp-max-connection-per-endpoint": "limits connections to an endpoint",
            "connection-policy-http-max-request-per-connection": "limits requests of a connection",
            "upstream-hash-by-subset": "divides endpoints into subsets for upstream-hash-by",
            "upstream-hash-by-subset-size": "is the size of such a subset",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "endpoints are spoken to in HTTP/1.1",
        {"proxy-http-version": "is the version of HTTP for endpoints"},
        ("1.1", ""),
    ),
    *_rows(
        Support.NO_EFFECT,
        "what endpoints say in Location, Refresh and Set-Cookie is passed on unchanged",
        {
            "proxy-cookie-domain": "changes the domain of cookies",
            "proxy-cookie-path": "changes the path of cookies",
            "proxy-redirect-from": "says which redirects of endpoints are changed",
            "proxy-redirect-to": "says what they are changed to",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "requests are limited, not connections, bytes, or several gateways together;"
        " route-limit-rps, concurrency-limit and limit-rps work",
        {
            "limit-connections": "limits connections of a client address",
            "limit-rate": "limits the bytes per second of a response",
            "limit-rate-after": "is how many bytes come before that",
            "global-rate-limit": "limits requests over all gateways",
            "global-rate-limit-window": "is the time that global-rate-limit counts over",
            "global-rate-limit-key": "is what global-rate-limit counts by",
            "global-rate-limit-ignored-cidrs": "exempts addresses from global-rate-limit",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "copies go to Services: mirror-target-service",
        {
            "mirror-target": "sends a copy of each request to this URL",
            "mirror-host": "is the Host of the copy",
            "mirror-request-body": "copies the body too",
            "mirror-target-fqdn": "sends a copy of each request to this host",
            "mirror-target-fqdn-port": "is its port",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "the cookie of affinity has fixed attributes, and endpoints that fail are always left",
        {
            "session-cookie-domain": "is the domain of the cookie of affinity",
            "session-cookie-secure": "sends the cookie of affinity over HTTPS only",
            "session-cookie-samesite": "is SameSite of the cookie of affinity",
            "session-cookie-conditional-samesite-none": "leaves SameSite=None out for old browsers",
            "session-cookie-change-on-failure": "moves clients whose endpoint fails",
            "session-cookie-hash": "is how cookies of old are made",
        },
    ),
    *_rows(
        Support.NO_EFFECT,
        "logs, traces and metrics are set for the whole gateway",
        {
            "enable-access-log": "logs requests",
            "enable-rewrite-log": "logs rewrites",
            "enable-opentelemetry": "traces requests",
            "opentelemetry-trust-incoming-span": "continues traces of clients",
            "opentelemetry-operation-name": "names spans",
            "enable-opentracing": "traces requests",
            "opentracing-trust-incoming-span": "continues traces of clients",
        },
        ("true", "false", ""),
    ),
    *_rows(
        Support.NO_EFFECT,
        "the rules do what they say without it",
        {
            "from-to-www-redirect": "redirects between a host and its www; server-alias serves both",
            "use-port-in-redirects": "names the port in redirects",
            "preserve-trailing-slash": "keeps a slash at the end of a path in redirects",
            "relative-redirects": "sends redirects without a host",
            "http2-push-preload": "pushes what Link headers name",
            "x-forwarded-proto": "is X-Forwarded-Proto for endpoints",
            "custom-headers": "names a ConfigMap with response headers; see response-header-control-add",
            "disable-proxy-intercept-errors": "passes errors of endpoints on",
            "stream-snippet": "adds configuration of nginx for TCP",
        },
    ),
)
ROWS: Final = (*_REFUSED, *_TLS, *_NO_EFFECT)
