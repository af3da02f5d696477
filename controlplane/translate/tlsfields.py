"""Fields of an HTTPS listener of an AlbConfig: its certificates, its policy of versions, and HTTP/2."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from controlplane.translate.diagnostics import Findings
from controlplane.translate.fields import flag, part, reject
from proxy.model.tls import ListenerTls

_DEFAULT: Final = "TLSv1.2"
_POLICIES: Final[Mapping[str, str]] = {
    "tls_cipher_policy_1_0": _DEFAULT,
    "tls_cipher_policy_1_1": _DEFAULT,
    "tls_cipher_policy_1_2": _DEFAULT,
    "tls_cipher_policy_1_2_strict": _DEFAULT,
    "tls_cipher_policy_1_2_strict_with_1_3": _DEFAULT,
    "tls_cipher_policy_1_3": "TLSv1.3",
}
"""Lowest version of TLS by policy. Versions below 1.2 are never spoken: RFC 8996 forbids them."""
_OLDER: Final = ("tls_cipher_policy_1_0", "tls_cipher_policy_1_1")
_AUTHORITY: Final = "with ca.crt"
_AUTHORITIES: Final = "a list of objects like {CertificateId: shop/clients}"
_LIST: Final = "a list of objects like {CertificateId: shop/shop-tls, IsDefault: true}"


class NamedSecret(msgspec.Struct, frozen=True):
    """A Secret with a certificate, or with authorities; `field` is where it is named."""

    namespace: str
    name: str
    field: str

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def listener_tls(fields: dict[str, Any], where: str, findings: Findings) -> ListenerTls:
    """Return the TLS of a listener, without hosts yet. It offers HTTP/2 unless told not to, as in ALB."""
    http2 = flag(fields.get("http2enabled"), f"{where}.http2Enabled", findings, default=True)
    return ListenerTls(_min_version(fields, where, findings), http2)


def _min_version(fields: dict[str, Any], where: str, findings: Findings) -> str:
    """Return the lowest version of securityPolicyId; an unknown policy is the default one."""
    policy, field = fields.get("securitypolicyid"), f"{where}.securityPolicyId"
    if not policy:
        return _DEFAULT
    version = _POLICIES.get(policy) if isinstance(policy, str) else None
    if version is None:
        reject(field, policy, "is not a policy of TLS", ", ".join(_POLICIES), findings)
        return _DEFAULT
    if policy in _OLDER:
        findings.add("FG0511", field, policy, note="TLS 1.0 and 1.1 are not spoken; clients need TLS 1.2")
    return version


def named_secrets(fields: dict[str, Any], where: str, findings: Findings) -> tuple[NamedSecret, ...]:
    """Return the Secrets of `certificates`, the default first: the one that says so, else the first."""
    written, field = fields.get("certificates"), f"{where}.certificates"
    if written is None:
        return ()
    if not isinstance(written, list):
        reject(field, written, "is not a list", _LIST, findings)
        return ()
    found: list[NamedSecret] = []
    for index, entry in enumerate(written):
        here = f"{field}[{index}]"
        secret = _secret(entry, here, findings)
        if secret is None:
            continue
        if flag(part(entry).get("isdefault"), f"{here}.IsDefault", findings):
            found.insert(0, secret)
        else:
            found.append(secret)
    return tuple(found)


def client_authorities(
    fields: dict[str, Any], where: str, findings: Findings
) -> tuple[NamedSecret, ...] | None:
    """Return the Secrets of `caCertificates` where `caEnabled` demands certificates of clients, else None.

    A value that cannot be read demands them, too: a listener with a mistake lets nobody in.
    """
    enabled = fields.get("caenabled")
    if not flag(enabled, f"{where}.caEnabled", findings, default=enabled not in (None, "")):
        return None
    written, field = fields.get("cacertificates"), f"{where}.caCertificates"
    if not isinstance(written, list) or not written:
        reject(field, written, "names no Secret with the authorities of clients", _AUTHORITIES, findings)
        return ()
    named = (_secret(entry, f"{field}[{index}]", findings, _AUTHORITY) for index, entry in enumerate(written))
    return tuple(secret for secret in named if secret is not None)


def _secret(
    entry: Any, where: str, findings: Findings, kind: str = "of type kubernetes.io/tls"
) -> NamedSecret | None:
    if not isinstance(entry, dict):
        reject(where, entry, "is not an object", _LIST, findings)
        return None
    identity = part(entry).get("certificateid")
    namespace, slash, name = identity.partition("/") if isinstance(identity, str) else ("", "", "")
    if not (namespace and slash and name) or "/" in name:
        problem = "names no Secret: certificates of the cloud cannot be used here"
        allowed = f"namespace/name of a Secret {kind} on the Fleet"
        reject(f"{where}.CertificateId", identity, problem, allowed, findings)
        return None
    return NamedSecret(namespace, name, f"{where}.CertificateId")
