"""Other annotations of MSE, Higress and ingress-nginx: without effect, or refused."""

from collections.abc import Mapping
from typing import Final

from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation, Support
from controlplane.translate.annotations.unsupported import (
    Meaning,
    flag,
    number,
    size,
    switch,
    text,
    unsupported,
    word,
)
from controlplane.translate.dialects import Dialect

_OFF: Final = ("false", "off", "")
_COUNT: Final = "an integer"
_SECONDS: Final = "seconds"
_URL: Final = "a URL"


def rows(
    support: Support,
    note: str,
    meanings: Mapping[str, Meaning],
    neutral: tuple[str, ...] = _OFF,
    prefixes: tuple[str, ...] = ANY_MSE,
) -> tuple[Annotation, ...]:
    """Return a row of the MSE dialect for each name and meaning, all of them with the same support."""
    return unsupported(Dialect.MSE, prefixes, support, note, meanings, neutral)


_REFUSED: Final = (
    *rows(
        Support.REFUSED,
        "requests would be divided otherwise than it says; canary annotations do that here",
        {
            "service-weight": text("divides requests over Services by weight", "<Service>: <weight>, …"),
            "service-match": text(
                "chooses a Service by header, query or cookie", "<Service>: <source>(…), …"
            ),
        },
        ("",),
    ),
    *rows(
        Support.REFUSED,
        "the Services behind it do not speak HTTP",
        {
            "rpc-destination-name": text("turns HTTP requests into Dubbo calls", "the name of a conversion"),
            "http2rpc-name": text("turns HTTP requests into Dubbo calls", "the name of a conversion"),
            "mcp-server": flag("makes the Service a server of the Model Context Protocol"),
        },
        prefixes=VENDOR,
    ),
    *rows(
        Support.REFUSED,
        "plugins are not run, and may decide which clients get in and which answers they get",
        {"wasmplugin": text("runs a plugin in WebAssembly", "the name of a plugin")},
        prefixes=VENDOR,
    ),
)
_NO_EFFECT: Final = (
    *rows(
        Support.NO_EFFECT,
        "mcp-server itself is refused, and mcp-sse is no value of load-balance here",
        {
            "mcp-server-*": text("configures mcp-server", "depends on the key"),
            "mcp-sse-stateful-param-name": text(
                "names the parameter of load-balance mcp-sse", "a name", "sessionId"
            ),
        },
        prefixes=VENDOR,
    ),
    *rows(
        Support.NO_EFFECT,
        "bodies are passed on as they come",
        {
            "client-body-buffer-size": size("is how much of a request body is kept in memory"),
            "proxy-buffering": switch("collects responses before they are sent"),
            "proxy-buffer-size": size("is the size of a buffer for responses"),
            "proxy-buffers-number": number("is the number of buffers for responses", _COUNT),
            "proxy-busy-buffers-size": size("is the size of buffers that are being sent"),
            "proxy-max-temp-file-size": size("limits responses on disk"),
            "proxy-request-buffering": switch("collects requests before they are sent"),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "the gateway decides by its measurements how it opens and keeps connections to endpoints",
        {
            "proxy-connect-timeout": number("is how long a connection to an endpoint may take", _SECONDS),
            "proxy-send-timeout": number("is the time between two writes to an endpoint", _SECONDS),
            "connection-proxy-header": text("is the Connection header for endpoints", "a header value"),
            "service-upstream": flag("sends requests to the address of the Service instead of its pods"),
            "connection-policy-tcp-max-connection": number("limits connections to a Service", _COUNT),
            "connection-policy-tcp-max-connection-per-endpoint": number(
                "limits connections to an endpoint", _COUNT
            ),
            "connection-policy-http-max-request-per-connection": number(
                "limits requests of a connection", _COUNT
            ),
            "upstream-hash-by-subset": flag("divides endpoints into subsets for upstream-hash-by"),
            "upstream-hash-by-subset-size": number("is the size of such a subset", _COUNT),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "the gateway speaks HTTP/1.1 to endpoints",
        {"proxy-http-version": word("is the version of HTTP for endpoints", "1.0, 1.1", "1.1")},
        ("1.1", ""),
    ),
    *rows(
        Support.NO_EFFECT,
        "Location, Refresh and Set-Cookie of endpoints are passed on unchanged",
        {
            "proxy-cookie-domain": text("changes the domain of cookies", "two domains, or off", "off"),
            "proxy-cookie-path": text("changes the path of cookies", "two paths, or off", "off"),
            "proxy-redirect-from": text(
                "says which redirects of endpoints are changed", "a URL, or off", "off"
            ),
            "proxy-redirect-to": text("is the URL that they are changed to", _URL),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "requests are limited, not connections, bytes, or several gateways together;"
        " route-limit-rps, concurrency-limit and limit-rps work",
        {
            "limit-connections": number("limits connections of a client address", _COUNT),
            "limit-rate": number("limits the bytes per second of a response", _COUNT),
            "limit-rate-after": number("is how many bytes come before that", _COUNT),
            "global-rate-limit": number("limits requests over all gateways", _COUNT),
            "global-rate-limit-window": text(
                "is the time that global-rate-limit counts over", "a time, as 1m"
            ),
            "global-rate-limit-key": text("chooses whose requests count together", "variables of nginx"),
            "global-rate-limit-ignored-cidrs": text(
                "exempts addresses from global-rate-limit", "a comma list of networks"
            ),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "copies go to Services: mirror-target-service",
        {
            "mirror-target": text("sends a copy of each request to this URL", _URL),
            "mirror-uri": text("sends a copy of each request to this location of nginx", "a path"),
            "mirror-host": text("is the Host of the copy", "a host name"),
            "mirror-request-body": switch("copies the body too", "on"),
            "mirror-target-fqdn": text("sends a copy of each request to this host", "a DNS name"),
            "mirror-target-fqdn-port": number("is its port", "1 to 65535", "80"),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "the cookie of affinity has fixed attributes, and endpoints that fail are always left",
        {
            "session-cookie-domain": text("is the domain of the cookie of affinity", "a DNS name"),
            "session-cookie-secure": flag("sends the cookie of affinity over HTTPS only"),
            "session-cookie-samesite": word("is SameSite of the cookie of affinity", "None, Lax, Strict"),
            "session-cookie-conditional-samesite-none": flag("leaves SameSite=None out for old browsers"),
            "session-cookie-change-on-failure": flag("moves clients whose endpoint fails"),
            "session-cookie-hash": word("is how cookies of old are made", "md5, sha1, index"),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "logs, traces and metrics are set for the whole gateway",
        {
            "enable-access-log": flag("logs requests", "true"),
            "enable-rewrite-log": flag("logs rewrites"),
            "enable-opentelemetry": flag("traces requests"),
            "opentelemetry-trust-incoming-span": flag("continues traces of clients"),
            "opentelemetry-operation-name": text("names spans", "variables of nginx"),
            "enable-opentracing": flag("traces requests"),
            "opentracing-trust-incoming-span": flag("continues traces of clients"),
        },
        ("true", "false", ""),
    ),
    *rows(
        Support.NO_EFFECT,
        "the rules have the same effect without it",
        {
            "from-to-www-redirect": flag("redirects between a host and its www; server-alias serves both"),
            "use-port-in-redirects": flag("names the port in redirects"),
            "preserve-trailing-slash": flag("keeps a slash at the end of a path in redirects"),
            "relative-redirects": flag("sends redirects without a host"),
            "http2-push-preload": flag("pushes the resources that Link headers name"),
            "x-forwarded-proto": word("is X-Forwarded-Proto for endpoints", "http, https"),
            "custom-headers": text(
                "names a ConfigMap with response headers; see response-header-control-add",
                "<namespace>/<name>",
            ),
            "disable-proxy-intercept-errors": flag("passes errors of endpoints on"),
            "stream-snippet": text("adds configuration of nginx for TCP", "directives of nginx"),
        },
    ),
)
ROWS: Final = (*_REFUSED, *_NO_EFFECT)
