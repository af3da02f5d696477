"""Which client addresses may use a listener: aclConfig of ALB, ipAccessControl of MSE."""

from collections.abc import Mapping
from typing import Any, Final

from controlplane.translate.diagnostics import Findings
from controlplane.translate.fields import networks, reject
from controlplane.translate.networks import NOBODY
from proxy.model.policies import Access

_TYPES: Final = ("white", "black")


def access_of(allowed: Any, denied: Any, where: tuple[str, str], findings: Findings) -> Access | None:
    """Return the addresses of an allow and a deny list that stand at `where`; None without any.

    An allow list without one usable entry lets nobody in: it was not written to let everybody in. Nor
    does a deny list of which one entry cannot be used: that may be the one it was written for.
    """
    allow = networks(allowed, where[0], findings)
    told = len(findings.items)
    deny = networks(denied, where[1], findings)
    if (allowed and not allow) or len(findings.items) > told:
        deny = NOBODY
    return Access(allow, deny) if allow or deny else None


def acl_access(acl: Mapping[str, Any], where: str, findings: Findings) -> Access | None:
    """Return what an aclConfig, its keys in lower case, asks for."""
    kind, entries, ids = acl.get("acltype") or "", acl.get("aclentries"), acl.get("aclids")
    if not entries and not ids:
        return None
    if str(kind).lower() not in _TYPES:
        reject(f"{where}.aclType", kind, "is no kind of list", "White or Black", findings)
        return Access(deny=NOBODY)
    if ids:
        allowed = "the addresses themselves, in aclEntries"
        reject(f"{where}.aclIds", ids, "only the cloud knows these", allowed, findings)
        if str(kind).lower() == "black":
            return Access(deny=NOBODY)
    at = (f"{where}.aclEntries", f"{where}.aclEntries")
    if str(kind).lower() == "white":
        return access_of(entries, None, at, findings) or Access(deny=NOBODY)
    return access_of(None, entries, at, findings)
