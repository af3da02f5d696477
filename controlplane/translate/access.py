"""Which client addresses may use a listener: aclConfig of ALB, ipAccessControl of MSE."""

from collections.abc import Iterable
from typing import Any, Final

from controlplane.translate.diagnostics import Findings
from controlplane.translate.fields import networks, part, reject
from controlplane.translate.networks import NOBODY
from proxy.model.policies import Access

ACL_FIELDS: Final = ("aclName", "aclType", "aclEntries", "aclIds")
_TYPES: Final = ("white", "black")


def access_of(allowed: Any, denied: Any, where: tuple[str, str], findings: Findings) -> Access | None:
    """Return the addresses of an allow list and a deny list, None without any; `where` are their fields.

    An allow list without a usable entry admits no client, for its author did not mean to admit all. A deny
    list with an unusable entry admits no client either, for that entry may be the important one.
    """
    allow = networks(allowed, where[0], findings)
    told = len(findings.items)
    deny = networks(denied, where[1], findings)
    if (allowed and not allow) or len(findings.items) > told:
        deny = NOBODY
    return Access(allow, deny) if allow or deny else None


def is_readable(control: Any, known: Iterable[str], where: str, findings: Findings) -> bool:
    """Whether an object of access lists has nothing but fields that are known; others are errors.

    A list under another name was written to hold.
    """
    if not isinstance(control, dict):
        return control in (None, "")
    names = {name.lower() for name in known}
    unknown = [name for name in sorted(control) if name.lower() not in names]
    for name in unknown:
        reject(f"{where}.{name}", control[name], "is no part of an access list", ", ".join(known), findings)
    return not unknown


def acl_access(control: Any, where: str, findings: Findings) -> Access | None:
    """Return the addresses that an aclConfig allows and denies."""
    if not is_readable(control, ACL_FIELDS, where, findings):
        return Access(deny=NOBODY)
    acl = part(control)
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
