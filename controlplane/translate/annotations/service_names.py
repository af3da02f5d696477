"""fleetgate.io/service.<cluster>: the name of a rule's Service in one cluster."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import OWN, Annotation

SERVICE: Final = Annotation(
    "service.*",
    (OWN,),
    None,
    "names the backend Service of the rules, and its port, in the cluster with this id",
    type="service",
    allowed="name, name:port or :port; the port by number or name",
    default="the name and port of the rule",
    example="shop-v2:8080",
)
ROWS: Final = (SERVICE,)

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_VALUE = re.compile(rf"(?P<name>{_LABEL})?(?::(?P<port>{_LABEL}))?")


def apply(reader: Reader, draft: Draft) -> None:
    overrides: dict[str, tuple[str, str]] = {}
    for given in reader.members(SERVICE):
        found = _VALUE.fullmatch(given.text)
        port = found["port"] or "" if found is not None else ""
        if found is None or not given.text or (port.isdigit() and not 1 <= int(port) <= 65535):
            reader.reject(given, "is not a Service or a port", SERVICE.allowed)
            continue
        overrides[given.suffix] = (found["name"] or "", port)
    draft.overrides = overrides
