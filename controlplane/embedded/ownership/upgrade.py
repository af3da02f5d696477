"""From client-side to server-side apply with kubectl: the annotation of the one, read by the other."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.embedded.ownership.fields import FieldSet, changed, owned_by_config
from controlplane.embedded.schema.node import Schema

MANAGER = "kubectl"
"""Manager whose server-side apply takes over the fields of its client-side apply; other names opt out."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_json = msgspec.json.Encoder(order="sorted")


def client_side_fields(schema: Schema, api_version: str, live: dict[str, Any]) -> FieldSet:
    """The fields that client-side apply set last and no other manager has changed since."""
    try:
        config = msgspec.json.decode(_annotations(live).get(LAST_APPLIED, ""))
    except msgspec.DecodeError:
        return frozenset()
    if not isinstance(config, dict) or config.get("apiVersion") != api_version:
        return frozenset()
    added, modified, removed = changed(schema, config, live)
    return frozenset(owned_by_config(schema, config)) - added - modified - removed


def with_last_applied(merged: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """`merged` with `config` in its annotation, if it has that: client-side apply may be used again."""
    annotations = _annotations(merged)
    if not annotations.get(LAST_APPLIED):
        return merged
    meta = dict(config.get("metadata") or {})
    if LAST_APPLIED in _annotations(config):
        meta["annotations"] = {key: text for key, text in meta["annotations"].items() if key != LAST_APPLIED}
    text = _json.encode({**config, "metadata": meta}).decode() + "\n"  # as kubectl writes it
    metadata = {**merged["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}
    return {**merged, "metadata": metadata}


def _annotations(obj: dict[str, Any]) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}
