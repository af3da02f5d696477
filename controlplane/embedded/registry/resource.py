"""One served kind, as the server knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from controlplane.embedded.errors import Cause, qualified
from controlplane.embedded.registry.names import Check, subdomain
from controlplane.embedded.schema.node import Schema
from controlplane.embedded.storage.store import Store

Object = dict[str, Any]
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Column(msgspec.Struct, frozen=True):
    """A printer column: `read` gives the cell (None shows as <none>); priority 1 is shown with -o wide."""

    name: str
    type: str
    read: Callable[[Object], Any]
    description: str = ""
    priority: int = 0
    format: str = ""


class Scale(msgspec.Struct, frozen=True):
    """JSON paths (`.spec.replicas`) of the scale subresource; `selector` may be empty."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str = ""


def _nothing(obj: Object) -> None:
    return None


def _accept(obj: Object, old: Object | None) -> list[Cause]:
    return []


def _keep(obj: Object, old: Object | None, store: Store) -> None:
    return None


def _same(obj: Object) -> Object:
    return obj


class Strategy(msgspec.Struct, frozen=True):
    """The rules of one kind. `default` fills fields in place; `prepare` what needs the stored state
    (allocation,
    generation of status); `validate` returns field errors for a create (old None) or an update."""

    default: Callable[[Object], None] = _nothing
    prepare: Callable[[Object, Object | None, Store], None] = _keep
    validate: Callable[[Object, Object | None], list[Cause]] = _accept
    validate_status: Callable[[Object, Object | None], list[Cause]] = _accept
    name: Check = subdomain
    generation: bool = False
    create_on_update: bool = False
    status_on_create: bool = False
    allow_unconditional_update: bool = True


@dataclass(frozen=True, eq=False)
class Resource:
    """One version of one kind as it is served."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    schema: Schema
    columns: tuple[Column, ...]
    strategy: Strategy = field(default_factory=Strategy)
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False
    scale: Scale | None = None
    selectable: tuple[str, ...] = ()
    custom: bool = False
    bucket: str = ""
    stored_as: str = ""
    to_storage: Callable[[Object], Object] = _same
    from_storage: Callable[[Object], Object] = _same
    verbs: tuple[str, ...] = VERBS
    list_kind: str = ""
    deprecated: str = ""
    raw_schema: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def store_key(self) -> str:
        return self.bucket or qualified(self.plural, self.group)

    @property
    def list_name(self) -> str:
        return self.list_kind or f"{self.kind}List"

    @property
    def full_name(self) -> str:
        return qualified(self.plural, self.group)
