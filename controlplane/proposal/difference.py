"""Objects in, changed routes with their traffic out. Pure: the child process does nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from controlplane.files.objects import FLEET_KINDS, versions_of
from controlplane.proposal.job import Basis
from controlplane.resources.decode import decode
from controlplane.resources.kinds import Kind
from controlplane.resources.overlay import overlaid
from controlplane.resources.view import FleetObjects, Malformed
from controlplane.translate.builder import translate
from controlplane.translate.changes import Change, changed_listeners, changed_routes, changed_services
from controlplane.translate.keypairs import KeyPairs
from controlplane.translate.model import Translation
from proxy.model.snapshot import Snapshot

Json = dict[str, Any]

_KINDS: Final[dict[tuple[str, str], tuple[str, Kind[Any]]]] = {
    (version, kind.kind): (field, kind)
    for field, kind in FLEET_KINDS.items()
    for version in versions_of(kind)
}


class ProposalError(ValueError):
    """Objects that cannot be looked at; the message is one line."""


class Proposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects of the Fleet as they would be applied, each with its namespace, as JSON."""

    objects: tuple[msgspec.Raw, ...]


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Header(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    metadata: _Metadata = _Metadata()


def objects_of(body: bytes) -> FleetObjects:
    """Return the typed objects of a Proposal. Raises ProposalError."""
    try:
        proposal = msgspec.json.decode(body, type=Proposal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProposalError(" ".join(str(error).split())) from None
    views: dict[str, dict[str, Any]] = {field: {} for field in FLEET_KINDS}
    malformed: list[Malformed] = []
    for raw in proposal.objects:
        field, kind, key = _identified(raw)
        view = decode(kind, bytes(raw))
        if isinstance(view, Malformed):
            malformed.append(view)
        else:
            views[field][key] = view
    return FleetObjects(**views, malformed=tuple(malformed))


def preview(basis: Basis, given: FleetObjects) -> Translation:
    """Return the Fleet as it would be if these objects were applied."""
    objects = overlaid(basis.fleet, given)
    version = basis.running.version + 1
    pairs = KeyPairs(used=basis.pairs, authorities=basis.authorities)
    return translate(objects, basis.members, basis.facts, basis.last_good, version, basis.running, pairs)


def shown(
    running: Snapshot, translation: Translation, rates: Mapping[str, float], given: FleetObjects
) -> Json:
    """Return the document of `/api/v1/diff`; `rates` are requests per second by route."""
    changes = changed_routes(running.routes, translation.snapshot.routes)
    after = translation.snapshot
    return {
        "snapshotVersion": running.version,
        "routes": len(running.routes),
        "changes": [_change(change, rates) for change in changes],
        "listeners": [asdict(aspect) for aspect in changed_listeners(running.listeners, after.listeners)],
        "services": [asdict(aspect) for aspect in changed_services(running.services, after.services)],
        "findings": list(_findings(translation, given)),
        "refused": list(_refused(translation, given)),
    }


def _identified(raw: msgspec.Raw) -> tuple[str, Kind[Any], str]:
    try:
        header = msgspec.json.decode(raw, type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProposalError(f"an object cannot be read: {' '.join(str(error).split())}") from None
    field, kind = _KINDS.get((header.api_version, header.kind), ("", None))
    name, namespace = header.metadata.name, header.metadata.namespace
    if kind is None:
        raise ProposalError(
            f"{header.kind or 'an object'} of {header.api_version or 'no version'} is not read"
        )
    if not name:
        raise ProposalError(f"a {kind.kind} has no name")
    if kind.namespaced and not namespace:
        raise ProposalError(f"{kind.kind} {name} has no namespace")
    return field, kind, f"{namespace}/{name}" if kind.namespaced else name


def _change(change: Change, rates: Mapping[str, float]) -> Json:
    route = change.route
    return {
        "change": change.kind,
        "id": route.id,
        "host": route.host or "*",
        "path": msgspec.to_builtins(route.path),
        "source": msgspec.to_builtins(route.source),
        "aspects": [asdict(aspect) for aspect in change.aspects],
        "requestsPerSecond": None if change.kind == "added" else round(rates.get(route.id, 0.0), 1),
    }


def _findings(translation: Translation, given: FleetObjects) -> Iterable[Json]:
    """Yield the findings of the translation about the given objects."""
    names = _names(given)
    for item in translation.diagnostics:
        if (item.kind, item.namespace, item.name) in names:
            yield msgspec.to_builtins(item)


def _refused(translation: Translation, given: FleetObjects) -> Iterable[Json]:
    """Yield the errors about other Ingresses of the Fleet, which the gateway refuses now."""
    names = _names(given)
    for item in translation.diagnostics:
        is_other = (item.kind, item.namespace, item.name) not in names
        if item.kind == "Ingress" and item.level == "error" and is_other:
            yield msgspec.to_builtins(item)


def _names(given: FleetObjects) -> set[tuple[str, str, str]]:
    names = {(item.kind, item.namespace, item.name) for item in given.malformed}
    for field, kind in FLEET_KINDS.items():
        for view in getattr(given, field).values():
            names.add((kind.kind, view.metadata.namespace, view.metadata.name))
    return names
