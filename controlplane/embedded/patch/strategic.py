"""Strategic merge patch: lists merge by the merge keys of the schema, `$`-directives steer the rest."""

from __future__ import annotations

from typing import Any

from controlplane.embedded.patch.merge import PatchError
from controlplane.embedded.schema.decode import copy_json
from controlplane.embedded.schema.node import Schema

PATCH = "$patch"
RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"


def strategic_merge(schema: Schema, original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A new object: `patch` merged into `original` under `schema`."""
    return _merge_object(schema, original, patch)


def _merge_object(schema: Schema, original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch.get(PATCH)
    if directive == "replace":
        return {key: copy_json(value) for key, value in patch.items() if key != PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown patch directive {directive!r} in {PATCH}", malformed=True)
    result = dict(original)
    if isinstance(patch.get(RETAIN), list):
        _retain(result, patch)
    for key, value in patch.items():
        if key in (PATCH, RETAIN) or key.startswith((ORDER, DELETE_PRIMITIVES)):
            continue
        _merge_field(schema.child(key), result, key, value, patch)
    for key, value in patch.items():
        if key.startswith(DELETE_PRIMITIVES):
            name = key.removeprefix(DELETE_PRIMITIVES)
            if name not in patch and isinstance(result.get(name), list):
                result[name] = [item for item in result[name] if item not in value]
        elif key.startswith(ORDER):
            name = key.removeprefix(ORDER)
            if name not in patch and isinstance(result.get(name), list):
                result[name] = _arranged(schema.child(name), result[name], value, result[name])
    return result


def _retain(result: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = set(patch[RETAIN])
    present = {key for key in patch if not key.startswith("$") and patch[key] is not None}
    if not present <= kept:
        raise PatchError(f"{RETAIN} list and the fields of the patch do not agree", malformed=True)
    for key in list(result):
        if key not in kept:
            del result[key]


def _merge_field(schema: Schema, result: dict[str, Any], key: str, value: Any, patch: dict[str, Any]) -> None:
    old = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        if value.get(PATCH) == "delete":
            result.pop(key, None)
            return
        result[key] = _merge_object(schema, old if isinstance(old, dict) else {}, value)
    elif isinstance(value, list) and schema.merges:
        removed = patch.get(DELETE_PRIMITIVES + key, [])
        present = old if isinstance(old, list) else []
        merged = _merge_list(schema, present, value, removed)
        result[key] = _arranged(schema, merged, patch.get(ORDER + key, value), present)
    else:
        result[key] = copy_json(value)


def _merge_list(schema: Schema, old: list[Any], patch: list[Any], removed: list[Any]) -> list[Any]:
    if not schema.merge_key:
        kept = [item for item in old if item not in removed]
        return kept + [item for item in dict.fromkeys(patch) if item not in kept]
    if any(isinstance(item, dict) and item.get(PATCH) == "replace" for item in patch):
        return [copy_json(item) for item in patch if PATCH not in item]
    result = list(old)
    for item in patch:
        if not isinstance(item, dict):
            raise PatchError(
                f"an element of a list merged by {schema.merge_key!r} must be an object", malformed=True
            )
        _merge_item(schema, result, item)
    return result


def _merge_item(schema: Schema, result: list[Any], item: dict[str, Any]) -> None:
    key = schema.merge_key
    if key not in item:
        raise PatchError(f"map: {item} does not contain declared merge key: {key}", malformed=True)
    found = next(
        (n for n, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item[key]), None
    )
    if item.get(PATCH) == "delete":
        result[:] = [old for old in result if not (isinstance(old, dict) and old.get(key) == item[key])]
    elif found is None:
        clean = {name: value for name, value in item.items() if name != PATCH}
        result.append(_merge_object(schema.element(), {}, clean))
    else:
        result[found] = _merge_object(schema.element(), result[found], item)


def _arranged(schema: Schema, merged: list[Any], order: list[Any], present: list[Any]) -> list[Any]:
    """Sorts the items that `order` names into it, among the rest as in `present`; new items go first."""
    key = schema.merge_key

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    rank = {identity(item): n for n, item in enumerate(order)}
    place = {identity(item): n for n, item in enumerate(present)}
    rest = [item for item in merged if identity(item) not in rank]
    named = sorted((item for item in merged if identity(item) in rank), key=lambda item: rank[identity(item)])
    result: list[Any] = []
    while rest and named:
        first, second = place.get(identity(rest[0])), place.get(identity(named[0]))
        is_before = first is not None and second is not None and first < second
        result.append((rest if is_before else named).pop(0))
    return result + rest + named
