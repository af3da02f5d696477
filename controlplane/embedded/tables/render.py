"""Turns objects into Table answers."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.embedded.registry.resource import Column, Object, Resource
from controlplane.embedded.tables.duration import age
from controlplane.embedded.tables.jsonpath import find

NAME = Column(
    "Name", "string", lambda obj: obj["metadata"].get("name", ""), "Name of the object.", format="name"
)
AGE = Column(
    "Age", "string", lambda obj: age(obj["metadata"].get("creationTimestamp")), "Time since it was created."
)


def definitions(resource: Resource) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in resource.columns
    ]


def row(resource: Resource, obj: Object, include: str, api_version: str) -> dict[str, Any]:
    """One row; `include` is None, Metadata or Object."""
    cells = [column.read(obj) for column in resource.columns]
    result: dict[str, Any] = {
        "cells": ["<none>" if cell is None and not resource.custom else cell for cell in cells]
    }
    if include == "Object":
        result["object"] = obj
    elif include == "Metadata":
        result["object"] = partial(obj, api_version)
    return result


def partial(obj: Object, api_version: str) -> dict[str, Any]:
    """A PartialObjectMetadata of the object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}


def table(
    resource: Resource,
    objects: list[Object],
    metadata: dict[str, Any],
    include: str,
    api_version: str,
    *,
    head: bool = True,
) -> dict[str, Any]:
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": definitions(resource) if head else [],
        "rows": [row(resource, obj, include, api_version) for obj in objects],
    }


def custom_columns(raw: list[dict[str, Any]] | None) -> tuple[Column, ...]:
    """Columns of a custom resource: its name, then additionalPrinterColumns, or its age."""
    if not raw:
        return (NAME, Column("Age", "date", AGE.read, AGE.description))
    return (NAME, *(_custom_column(column) for column in raw))


def _custom_column(raw: dict[str, Any]) -> Column:
    kind, path = raw["type"], raw["jsonPath"]

    def read(obj: Object) -> Any:
        found = find(path, obj)
        return _cell(kind, found[0]) if found else None

    return Column(
        raw["name"], kind, read, raw.get("description", ""), raw.get("priority", 0), raw.get("format", "")
    )


def _cell(kind: str, value: Any) -> Any:
    if kind == "date":
        return age(value)
    if kind == "string":
        return value if isinstance(value, str) else _text(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if kind == "integer" else value


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
