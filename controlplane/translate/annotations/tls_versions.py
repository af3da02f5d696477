"""tls-min-protocol-version of MSE and ingress-nginx: the lowest version of TLS that a host accepts."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, Annotation
from controlplane.translate.dialects import Dialect

VERSIONS: Final = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
LOWEST: Final = "TLSv1.2"
"""Lower ones are never spoken: RFC 8996 forbids them."""

MIN_VERSION: Final = Annotation(
    "tls-min-protocol-version",
    ANY_MSE,
    Dialect.MSE,
    "is the lowest version of TLS that the hosts of the Ingress accept; TLS 1.0 and 1.1 are never spoken",
    type="word",
    allowed=", ".join(VERSIONS),
    default=LOWEST,
    example="TLSv1.3",
)
ROWS: Final = (MIN_VERSION,)


def apply(reader: Reader, draft: Draft) -> None:
    version = reader.choice(MIN_VERSION, VERSIONS)
    if version is not None and version > LOWEST:
        draft.min_tls = version
