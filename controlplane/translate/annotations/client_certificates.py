"""auth-tls-secret of MSE and ingress-nginx: hosts that let in only clients with a certificate."""

from collections.abc import Iterable
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import ANY_MSE, Annotation
from controlplane.translate.dialects import Dialect

_SUFFIX: Final = "-cacert"
_ALLOWED: Final = "<server secret> or <server secret>-cacert, of the namespace of the Ingress"

SECRET: Final = Annotation(
    "auth-tls-secret",
    ANY_MSE,
    Dialect.MSE,
    "lets in only clients that show a certificate of an authority in ca.crt of this Secret; it holds for the"
    " hosts of the Ingress as a whole. The server secret is one that spec.tls of the Ingress names",
    allowed=_ALLOWED,
    example="shop/shop-tls-cacert",
)
VERIFY: Final = Annotation(
    "auth-tls-verify-client",
    ANY_MSE,
    Dialect.MSE,
    "says whether auth-tls-secret is in force; certificates that clients need not show are not supported",
    type="word",
    allowed="on, off",
    default="on",
    neutral=("off", "false", ""),
    example="on",
)
ROWS: Final = (SECRET, VERIFY)


def apply(reader: Reader, draft: Draft) -> None:
    given, verify = reader.given(SECRET), reader.given(VERIFY)
    mode = verify.text.lower() if verify is not None else "on"
    if verify is not None and mode not in ("on", "off", "", "false"):
        reader.reject(verify, "is not supported: a client would get in without a certificate", "on, off")
    elif verify is not None and mode == "on" and given is None:
        reader.reject(verify, "has no auth-tls-secret beside it", "on, off")
    if given is None or mode == "off":
        return
    namespace, slash, name = given.text.rpartition("/")
    if not name or "/" in namespace:
        reader.reject(given, "is not the name of a Secret", _ALLOWED)
    elif slash and namespace != draft.namespace:
        reader.reject(given, "is a Secret of another namespace", _ALLOWED)
    else:
        draft.client_ca, draft.client_ca_field = name, given.field


def check(reader: Reader, draft: Draft, server_secrets: Iterable[str]) -> None:
    """Refuse a Secret that goes with none of the Ingress's own, and the demand of a canary alone."""
    given = reader.given(SECRET)
    if given is None or not draft.client_ca:
        return
    if draft.canary is not None:
        _refuse(reader, draft, given, "stands on a canary", "auth-tls-secret on the Ingress of the same host")
    elif (
        draft.client_ca.removesuffix(_SUFFIX) not in server_secrets and draft.client_ca not in server_secrets
    ):
        _refuse(reader, draft, given, "goes with no secretName in spec.tls of the Ingress", _ALLOWED)


def _refuse(reader: Reader, draft: Draft, given: Given, problem: str, allowed: str) -> None:
    draft.client_ca = draft.client_ca_field = ""
    reader.reject(given, problem, allowed)
