"""What an apply would change, without applying it: objects in, changed routes with their traffic out."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

from controlplane.admin.state import Source
from controlplane.admin.views import Json
from controlplane.files.objects import FLEET_KINDS
from controlplane.resources.decode import decode
from controlplane.resources.kinds import Kind
from controlplane.resources.view import FleetObjects, Malformed
from controlplane.translate.changes import Change, changed_listeners, changed_routes, changed_services
from controlplane.translate.model import Translation
from proxy.model.snapshot import Snapshot

SAMPLE_S: Final = 1.0
"""Between the two samples of the counters: the rate of a route with few requests is rough."""

_KINDS: Final[dict[tuple[str, str], tuple[str, Kind[Any]]]] = {
    (kind.api_version, kind.kind): (field, kind) for field, kind in FLEET_KINDS.items()
}


class ProposalError(ValueError):
    """Objects that cannot be looked at; the message is one line."""


class Proposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects of the Fleet as they would be applied, each with its namespace."""

    objects: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Traffic:
    at: float  # of the event loop's clock
    requests: Counter[str]  # by route id


async def difference(source: Source, proposal: Proposal) -> Json:
    """Return the changes, and findings about the objects. Raises ProposalError."""
    given = objects_of(proposal)
    before = await _traffic(source)
    running = source.state().snapshot
    if running is None:
        raise ProposalError("there is no snapshot yet; /readyz says what is missing")
    translation = source.preview(given)
    changes = changed_routes(running.routes, translation.snapshot.routes)
    rates: dict[str, float] = {}
    if any(change.kind != "added" for change in changes):
        await asyncio.sleep(SAMPLE_S)
        rates = _rates(before, await _traffic(source))
    return _shown(running, translation, changes, rates, given)


def objects_of(proposal: Proposal) -> FleetObjects:
    """Return the typed objects of a proposal. Raises ProposalError."""
    views: dict[str, dict[str, Any]] = {field: {} for field in FLEET_KINDS}
    malformed: list[Malformed] = []
    for value in proposal.objects:
        field, kind, key = _identified(value)
        view = decode(kind, msgspec.json.encode(value))
        if isinstance(view, Malformed):
            malformed.append(view)
        else:
            views[field][key] = view
    return FleetObjects(**views, malformed=tuple(malformed))


def _identified(value: dict[str, Any]) -> tuple[str, Kind[Any], str]:
    version, kind_name, metadata = value.get("apiVersion"), value.get("kind"), value.get("metadata")
    field, kind = _KINDS.get((str(version), str(kind_name)), ("", None))
    if kind is None:
        raise ProposalError(f"{kind_name} of {version} is not read")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else ""
    if not isinstance(name, str) or not name or not isinstance(namespace, str):
        raise ProposalError(f"a {kind_name} has no name")
    if kind.namespaced and not namespace:
        raise ProposalError(f"{kind_name} {name} has no namespace")
    return field, kind, f"{namespace}/{name}" if kind.namespaced else name


async def _traffic(source: Source) -> _Traffic:
    await source.refresh()
    requests: Counter[str] = Counter()
    for (_, route, *_), count in source.state().totals.requests.items():
        requests[route] += count
    return _Traffic(asyncio.get_running_loop().time(), requests)


def _rates(first: _Traffic, second: _Traffic) -> dict[str, float]:
    passed = second.at - first.at
    return {route: max(count - first.requests[route], 0) / passed for route, count in second.requests.items()}


def _shown(
    running: Snapshot,
    translation: Translation,
    changes: Iterable[Change],
    rates: dict[str, float],
    given: FleetObjects,
) -> Json:
    return {
        "snapshotVersion": running.version,
        "routes": len(running.routes),
        "changes": [_change(change, rates) for change in changes],
        "listeners": [
            asdict(aspect) for aspect in changed_listeners(running.listeners, translation.snapshot.listeners)
        ],
        "services": [
            asdict(aspect) for aspect in changed_services(running.services, translation.snapshot.services)
        ],
        "findings": _findings(translation, given),
    }


def _change(change: Change, rates: dict[str, float]) -> Json:
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


def _findings(translation: Translation, given: FleetObjects) -> list[Json]:
    """Return what the translation says about the objects that were given."""
    names = {(item.kind, item.namespace, item.name) for item in given.malformed}
    for field, kind in FLEET_KINDS.items():
        for view in getattr(given, field).values():
            names.add((kind.kind, view.metadata.namespace, view.metadata.name))
    return [
        msgspec.to_builtins(item)
        for item in translation.diagnostics
        if (item.kind, item.namespace, item.name) in names
    ]
