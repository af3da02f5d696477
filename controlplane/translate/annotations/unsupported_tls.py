"""TLS towards clients and endpoints, in MSE, Higress and ingress-nginx: what is not supported yet."""

from typing import Final

from controlplane.translate.annotations.row import Annotation, Support
from controlplane.translate.annotations.unsupported import flag, number, text
from controlplane.translate.annotations.unsupported_mse import rows

_VERSIONS: Final = "TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3"
_CIPHERS: Final = "names of ciphers with : or , between them"
_SECRET: Final = "<namespace>/<name> of a Secret"

ROWS: Final[tuple[Annotation, ...]] = (
    *rows(
        Support.REFUSED,
        "the gateway speaks HTTP/1.1 to endpoints, over TLS with backend-protocol: HTTPS",
        {
            "secure-backends": flag("speaks to endpoints with TLS"),
            "grpc-backend": flag("speaks to endpoints in gRPC"),
            "ssl-passthrough": flag("hands TLS connections on to endpoints"),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "ssl-cipher names the ciphers of TLS 1.2, and the gateway chooses among those of the client",
        {
            "ssl-ciphers": text("names the ciphers of TLS", _CIPHERS),
            "ssl-prefer-server-ciphers": flag("lets the gateway choose the cipher"),
        },
    ),
    *rows(
        Support.NO_EFFECT,
        "TLS to endpoints is 1.2 or 1.3 with the ciphers of OpenSSL, and proxy-ssl-secret has the authority",
        {
            "proxy-ssl-verify-depth": number(
                "is the longest chain of certificates of endpoints", "an integer", "1"
            ),
            "proxy-ssl-ciphers": text("names the ciphers for endpoints", _CIPHERS),
            "proxy-ssl-protocols": text("names the versions of TLS for endpoints", _VERSIONS),
            "secure-verify-ca-secret": text("names the Secret with the authority of endpoints", _SECRET),
        },
    ),
)
