"""TLS towards the endpoints of each Service whose Ingress wants it. Pure.

A Secret that is missing or broken, and was never whole, makes TLS fail: no endpoint is trusted, and none is
spoken to without the certificate that it may demand.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.resources.secret import Secret
from controlplane.translate.keypairs import (
    AUTHORITIES_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY,
    KeyPair,
    KeyPairError,
    KeyPairs,
    read_authorities,
    read_key_pair,
)
from controlplane.translate.live import Outcome
from controlplane.translate.services import ServiceRef, ServiceTls, is_group
from proxy.model.snapshot import Service, Snapshot, destinations_of
from proxy.model.tls import BackendTls, Certificate

_KEPT: Final = "the material that was read before stays in use"
_FAILS: Final = "requests are answered 502"
_EARLY: Final = timedelta(days=21)


class BackendTlsPlan(msgspec.Struct, frozen=True):
    """TLS by service id; `pairs` by namespace/name of their Secrets, those of authorities with their key."""

    services: Mapping[str, BackendTls] = field(default_factory=dict)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    pairs: Mapping[str, KeyPair] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()

    def with_tls(self, service: Service) -> Service:
        tls = self.services.get(service.id)
        return service if tls is None else replace(service, tls=tls)


def plan_backend_tls(
    service_ids: Iterable[str],
    outcomes: Iterable[Outcome],
    pairs: KeyPairs,
    today: str,
    previous: Snapshot | None = None,
) -> BackendTlsPlan:
    """Return TLS of the services, and report on Ingresses what is wrong with their Secrets.

    A service whose Secret is about to be listed keeps the TLS that it has in `previous`.
    """
    reader = _SecretReader(pairs)
    before = {service.id: service.tls for service in previous.services} if previous is not None else {}
    services: dict[str, BackendTls] = {}
    for service_id in service_ids:
        wanted = ServiceRef.parse(service_id).tls if not is_group(service_id) else None
        if wanted is None:
            continue
        known = before.get(service_id)
        if wanted.secret and reader.awaits(wanted.secret) and known is not None:
            reader.need(wanted.secret)
            services[service_id] = known
        else:
            services[service_id] = reader.tls(wanted)
    soon = (date.fromisoformat(today) + _EARLY).isoformat() if today else ""
    for outcome in outcomes:
        _report(outcome, reader, soon)
    certificates = {pair.certificate.id: pair.certificate for pair in reader.used.values()}
    return BackendTlsPlan(services, certificates, reader.used, frozenset(reader.namespaces))


def _report(outcome: Outcome, reader: "_SecretReader", soon: str) -> None:
    planned = outcome.plan.backend_tls if outcome.plan is not None else None
    if planned is None or not planned.secret:
        return
    own = ServiceTls(planned.verify, secret=planned.secret)
    services = {service for route in outcome.routes for service, _ in destinations_of(route)}
    if not any(_uses(service, planned.secret) for service in services):
        return  # the Secret is refused, which is told already, or nothing is forwarded
    for code, details in reader.faults(own):
        outcome.findings.add(code, planned.field, planned.secret, **details)
    client = reader.used.get(planned.secret)
    if client is not None and client.expires < soon:
        outcome.findings.add("FG0325", planned.field, planned.secret, date=client.expires[:10])


def _uses(service_id: str, secret: str) -> bool:
    tls = ServiceRef.parse(service_id).tls if not is_group(service_id) else None
    return tls is not None and tls.secret == secret


class _Material(msgspec.Struct, frozen=True):
    """The certificates of a Secret; None: it has none. Not `usable`: TLS fails."""

    client: KeyPair | None = None
    trust: KeyPair | None = None
    usable: bool = True
    fault: tuple[str, Mapping[str, Any]] | None = None


class _SecretReader:
    """Reads Secrets, and remembers what is used."""

    def __init__(self, pairs: KeyPairs) -> None:
        self._secrets = pairs.secrets
        self._kept = pairs.used
        self.namespaces: set[str] = set()
        self.used: dict[str, KeyPair] = {}

    def need(self, secret: str) -> None:
        self.namespaces.add(secret.partition("/")[0])

    def awaits(self, secret: str) -> bool:
        """Whether a Secret is not known, nor what was in it, but probably will be in a moment."""
        namespace = secret.partition("/")[0]
        is_listed = namespace in self._secrets.by_namespace or namespace in self._secrets.denied
        return not is_listed and not self._has_kept(secret)

    def tls(self, wanted: ServiceTls) -> BackendTls:
        if not wanted.secret:
            return BackendTls(wanted.verify, wanted.name)
        found, missing = self._material(wanted), f"Secret {wanted.secret}"
        if not found.usable:
            return BackendTls(wanted.verify, wanted.name, missing if wanted.verify else "", missing)
        if found.client is not None:
            self.used[wanted.secret] = found.client
        if found.trust is not None:
            self.used[_authorities_of(wanted.secret)] = found.trust
        return BackendTls(
            wanted.verify,
            wanted.name,
            found.trust.certificate.id if found.trust is not None else "",
            found.client.certificate.id if found.client is not None else "",
        )

    def faults(self, wanted: ServiceTls) -> Iterable[tuple[str, Mapping[str, Any]]]:
        fault = self._material(wanted).fault
        return (fault,) if fault is not None else ()

    def _material(self, wanted: ServiceTls) -> _Material:
        namespace, _, name = wanted.secret.partition("/")
        self.namespaces.add(namespace)
        known = self._secrets.by_namespace.get(namespace)
        if known is None:
            kept = self._earlier(wanted)
            effect = _KEPT if kept.usable else _FAILS
            fault = ("FG0643", {"namespace": namespace, "effect": effect})
            return replace(kept, fault=fault if namespace in self._secrets.denied else None)
        secret = known.get(name)
        if secret is None:
            return _Material(usable=False, fault=("FG0640", {}))
        try:
            return _Material(_client(secret), read_authorities(secret) if wanted.verify else None)
        except KeyPairError as error:
            kept = self._earlier(wanted)
            effect = _KEPT if kept.usable else _FAILS
            return replace(kept, fault=("FG0641", {"problem": str(error), "effect": effect}))

    def _earlier(self, wanted: ServiceTls) -> _Material:
        """Return what was in a Secret before; nothing where a part is missing that is needed."""
        client, trust = self._kept.get(wanted.secret), self._kept.get(_authorities_of(wanted.secret))
        if not wanted.verify:
            return _Material(client, usable=client is not None)
        return _Material(client, trust, usable=trust is not None)

    def _has_kept(self, secret: str) -> bool:
        return secret in self._kept or _authorities_of(secret) in self._kept


def _client(secret: Secret) -> KeyPair | None:
    """Return the pair of a Secret, None where it has only authorities. Raises KeyPairError."""
    if not secret.data.get(CERTIFICATE_KEY) and not secret.data.get(PRIVATE_KEY):
        return None
    return read_key_pair(secret)


def _authorities_of(secret: str) -> str:
    """Return the key of the authorities of a Secret among the pairs: no name of a Secret has a space."""
    return f"{secret} {AUTHORITIES_KEY}"
