"""Redirects of whole Ingresses: to HTTPS."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB_OR_NGINX, Annotation, Support
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Redirect

ALB_TO_HTTPS: Final = Annotation(
    "ssl-redirect",
    ALB_OR_NGINX,
    Dialect.ALB,
    "redirects requests on HTTP listeners to HTTPS with 308",
    type="boolean",
    allowed="true, false",
    default="false",
    support=Support.APPROXIMATED,
    note="requests are redirected to port 443, where this gateway does not listen yet: something in front of"
    " it has to take HTTPS",
    neutral=("false", ""),
    example="true",
)
ROWS: Final = (ALB_TO_HTTPS,)
TO_HTTPS: Final = Redirect(308, protocol="https", port="443")


def apply(reader: Reader, draft: Draft) -> None:
    if reader.boolean(ALB_TO_HTTPS):
        draft.answer = TO_HTTPS
