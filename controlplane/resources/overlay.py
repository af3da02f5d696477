"""Objects in place of those that an API server holds, as an apply would put them there."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import fields, replace

from controlplane.resources.view import FleetObjects

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_NEW: Final = "9999-12-31T23:59:59Z"
"""A creation time after all others, for older objects have precedence."""


class _AppliedMeta(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _Applied(msgspec.Struct, frozen=True):
    metadata: _AppliedMeta = _AppliedMeta()


def overlaid(live: FleetObjects, given: FleetObjects) -> FleetObjects:
    """Return the objects of the Fleet after those given were applied."""
    views: dict[str, dict[str, Any]] = {}
    replaced = {(item.kind, item.key) for item in given.malformed}
    uids: dict[tuple[str, str], str] = {(item.kind, item.key): item.uid for item in live.malformed}
    for field in fields(FleetObjects):
        if field.name == "malformed":
            continue
        old, new = getattr(live, field.name), getattr(given, field.name)
        uids |= {(type(view).__name__, key): view.metadata.uid for key, view in old.items()}
        left = {key: view for key, view in old.items() if (type(view).__name__, key) not in replaced}
        views[field.name] = _merged(left, new)
        replaced |= {(type(view).__name__, key) for key, view in new.items()}
    kept = (item for item in live.malformed if (item.kind, item.key) not in replaced)
    refused = (
        msgspec.structs.replace(item, uid=uids.get((item.kind, item.key), item.uid))
        for item in given.malformed
    )
    return FleetObjects(**views, malformed=(*kept, *refused))


def _merged(live: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {**live, **{key: _heir(live.get(key), view) for key, view in given.items()}}


def _heir(earlier: Any, view: Any) -> Any:
    """Return an object with the values that the API server keeps or gives: uid, age, others' annotations."""
    if earlier is None:
        metadata = replace(view.metadata, creation_timestamp=_NEW)
    else:
        old = earlier.metadata
        metadata = replace(
            view.metadata,
            uid=old.uid,
            creation_timestamp=old.creation_timestamp,
            generation=old.generation,
            annotations={**_of_others(old.annotations), **view.metadata.annotations},
        )
    return replace(view, metadata=metadata)


def _of_others(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that kubectl apply leaves: those it has not set itself before.

    Without its record of that (server-side apply has another one, which is not read) none are.
    """
    try:
        applied = msgspec.json.decode(annotations.get(_LAST_APPLIED, ""), type=_Applied)
    except msgspec.MsgspecError:
        return {}
    own = (applied.metadata.annotations or {}).keys() | {_LAST_APPLIED}
    return {key: value for key, value in annotations.items() if key not in own}
