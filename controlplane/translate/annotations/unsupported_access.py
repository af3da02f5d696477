"""Logins and other access control of MSE, Higress and ingress-nginx: refused, with their options."""

from typing import Final

from controlplane.translate.annotations.row import Annotation, Support
from controlplane.translate.annotations.unsupported import flag, number, text, word
from controlplane.translate.annotations.unsupported_mse import rows

_OPEN: Final = "clients would get in without a login"
_NETWORKS: Final = "a comma list of addresses and networks"
_DIRECTIVES: Final = "directives of nginx"

ROWS: Final[tuple[Annotation, ...]] = (
    *rows(
        Support.REFUSED,
        _OPEN,
        {
            "auth-type": word("asks clients for a password", "basic, digest"),
            "auth-url": text("asks another service whether to admit a client", "a URL"),
            "auth-secret": text("names the Secret with the passwords", "<name> or <namespace>/<name>"),
            "auth-snippet": text("adds configuration of nginx to auth-url", _DIRECTIVES),
            "auth-tls-match-cn": text("admits only certificates with this name", "CN=<expression>"),
        },
        ("",),
    ),
    *rows(
        Support.REFUSED, _OPEN, {"enable-global-auth": flag("asks another service whether to admit a client")}
    ),
    *rows(
        Support.REFUSED,
        "requests would reach the endpoints without an inspection",
        {
            "enable-modsecurity": flag("inspects requests with ModSecurity"),
            "enable-owasp-core-rules": flag("inspects requests with ModSecurity and the rules of OWASP"),
            "modsecurity-snippet": text("configures ModSecurity", "directives of ModSecurity"),
        },
    ),
    *rows(
        Support.REFUSED,
        "configuration of nginx is not read, and may decide which clients get in and which answers they get",
        {
            "configuration-snippet": text("adds configuration of nginx to the rules", _DIRECTIVES),
            "server-snippet": text("adds configuration of nginx to the host", _DIRECTIVES),
        },
        ("",),
    ),
    *rows(
        Support.REFUSED,
        "the clients that it exempts would be limited too",
        {
            "limit-whitelist": text("exempts client addresses from the limits", _NETWORKS),
            "limit-allowlist": text("exempts client addresses from the limits", _NETWORKS),
        },
        ("",),
    ),
    *rows(
        Support.NO_EFFECT,
        "a chain may be as long as the authorities of auth-tls-secret let it be",
        {"auth-tls-verify-depth": number("is the longest chain of certificates", "an integer", "1")},
    ),
    *rows(
        Support.NO_EFFECT,
        "clients without a certificate get no connection",
        {"auth-tls-error-page": text("is where clients without a certificate are sent", "a URL")},
    ),
    *rows(
        Support.NO_EFFECT,
        "endpoints always learn of the certificate, in X-Forwarded-Client-Cert",
        {"auth-tls-pass-certificate-to-upstream": flag("hands the certificate on to endpoints")},
    ),
    *rows(
        Support.NO_EFFECT,
        "authentication itself is refused, so there is nothing to configure",
        {
            "auth-secret-type": word(
                "says how the passwords are written", "auth-file, auth-map", "auth-file"
            ),
            "auth-realm": text("names the protected area for clients", "printable characters"),
            "auth-method": word("is the method of auth-url", "a method"),
            "auth-signin": text("is where clients are sent to sign in", "a URL"),
            "auth-signin-redirect-param": text("names the parameter with the way back", "a name", "rd"),
            "auth-response-headers": text(
                "names headers that endpoints get from auth-url", "a comma list of headers"
            ),
            "auth-request-redirect": text("is X-Auth-Request-Redirect of auth-url", "a header value"),
            "auth-proxy-set-headers": text("names headers that auth-url gets", "the name of a ConfigMap"),
            "auth-cache-key": text("remembers answers of auth-url", "variables of nginx"),
            "auth-cache-duration": text(
                "is how long answers of auth-url are remembered", "statuses and times, as 200 202 10m"
            ),
            "auth-keepalive": number("is how many connections to auth-url are kept", "an integer", "0"),
            "auth-always-set-cookie": flag("hands on cookies of auth-url"),
            "satisfy": word("says whether address or password is enough", "all, any", "all"),
        },
    ),
)
