"""Status as a JSON merge patch: only differences, and no field that belongs to others."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from controlplane.kube.client import ApiClient
from controlplane.kube.store import StoredStatus
from controlplane.resources.kinds import Kind

Json = Any
WRITE_TIMEOUT_S = 4.0
"""A leader stops 5 s before another may start: a write of its last moment has to be over by then."""


class _PatchedMeta(msgspec.Struct, frozen=True, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    generation: int = 0


class _Object(msgspec.Struct, frozen=True):
    metadata: _PatchedMeta = _PatchedMeta()
    status: msgspec.Raw = msgspec.Raw()


def status_patch(current: Mapping[str, Json], desired: Mapping[str, Json]) -> dict[str, Json]:
    """Return the merge patch from `current` to `desired`, {} when they mean the same.

    Fields of the status that `desired` does not name belong to others and stay; inside a field that it names,
    parts that it leaves out are removed. Empty and absent are the same to Kubernetes.
    """
    return {
        key: difference
        for key, value in desired.items()
        if (difference := _difference(current.get(key), value)) is not _SAME
    }


def with_transition_times(
    current: Mapping[str, Json], desired: Mapping[str, Json], now: str
) -> dict[str, Json]:
    """Return `desired` with lastTransitionTime in its conditions: the old one unless the status changed.

    Conditions of types that `desired` does not name are kept.
    """
    wanted = desired.get("conditions")
    if not isinstance(wanted, list):
        return dict(desired)
    present = [item for item in current.get("conditions") or () if isinstance(item, dict)]
    by_type = {item.get("type"): item for item in present}
    merged = [
        item | {"lastTransitionTime": _transition(by_type.get(item["type"]), item, now)} for item in wanted
    ]
    named = {item["type"] for item in wanted}
    return {**desired, "conditions": merged + [item for item in present if item.get("type") not in named]}


async def patch_status(
    client: ApiClient,
    kind: Kind[Any],
    namespace: str,
    name: str,
    current: StoredStatus,
    patch: dict[str, Json],
    *,
    exact: bool = False,
) -> StoredStatus:
    """Send the patch from `current` and return the status as the API server has it now.

    The patch fails (409 or 422) for another object of the same name, and with `exact` for any other version
    of this object. Raises the errors of the client.
    """
    metadata = {"uid": current.uid}
    if exact or not kind.group.endswith(".k8s.io"):
        # The status endpoint of custom resources ignores the uid (seen in Kubernetes 1.28), but not this.
        metadata["resourceVersion"] = current.resource_version
    body: dict[str, Json] = {"metadata": metadata, "status": patch}
    path = kind.object_path(quote(namespace, safe=""), quote(name, safe="")) + "/status"
    answer = await client.patch(path, msgspec.json.encode(body), timeout_s=WRITE_TIMEOUT_S)
    stored = msgspec.json.decode(answer, type=_Object)
    meta = stored.metadata
    return StoredStatus(meta.uid, meta.resource_version, bytes(stored.status), meta.generation)


class _Same:
    """Marks that there is no difference; None is one."""


_SAME = _Same()


def _transition(old: Mapping[str, Json] | None, new: Mapping[str, Json], now: str) -> Json:
    if old is not None and old.get("status") == new.get("status") and old.get("lastTransitionTime"):
        return old["lastTransitionTime"]
    return now


def _difference(current: Json, desired: Json) -> Json:
    if _pruned(current) == _pruned(desired):
        return _SAME
    if not isinstance(desired, dict) or not isinstance(current, dict):
        return desired
    patch = {key: None for key in current if key not in desired}
    for key, value in desired.items():
        difference = _difference(current.get(key), value)
        if difference is not _SAME:
            patch[key] = difference
    return patch


def _pruned(value: Json) -> Json:
    """Return `value` without empty lists, maps and nulls; Go leaves them out when it stores an object."""
    if isinstance(value, dict):
        pruned = {key: kept for key, item in value.items() if (kept := _pruned(item)) not in (None, {}, [])}
        return pruned or None
    if isinstance(value, list):
        return [_pruned(item) for item in value] or None
    return value
