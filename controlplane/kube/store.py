"""The objects of one kind as last seen: decoded, compared, replaced only when their content differs."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from controlplane.kube.watch import decode_head
from controlplane.resources.decode import decode
from controlplane.resources.kinds import Kind
from controlplane.resources.meta import ObjectMeta
from controlplane.resources.view import Malformed

MAX_OBJECT_BYTES = 2 << 20
"""etcd stores at most 1.5 MiB; a larger object is an attack or a mistake, and is not read."""


class Metadata(Protocol):
    """The metadata of every typed view."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> str: ...
    @property
    def generation(self) -> int: ...


class Resource(Protocol):
    """The members of every typed view."""

    @property
    def metadata(self) -> Metadata: ...


T = TypeVar("T", bound=Resource)


class StoredStatus(msgspec.Struct, frozen=True):
    """`.status` of an object as JSON, b"" when it has none, at one resource version."""

    uid: str
    resource_version: str
    status: bytes
    generation: int = 0


class StoredObject(msgspec.Struct, Generic[T], frozen=True):
    """One object as received. `value` is its view, or the mistake in it."""

    key: str
    uid: str
    resource_version: str
    value: T | Malformed
    status: bytes = b""
    mark: str | None = None  # our own annotation


class _WithStatus(msgspec.Struct, frozen=True):
    status: msgspec.Raw = msgspec.Raw()


class Store(Generic[T]):
    """The objects that a reflector knows. Mappings that were handed out never change.

    `own_annotation` is the key of an annotation that the gateway writes. Its values are kept in `marks`,
    apart from the objects, so that the gateway's own writes change no object.
    """

    def __init__(self, kind: Kind[T], *, keep_status: bool = False, own_annotation: str = "") -> None:
        self.objects: Mapping[str, T] = {}
        self.malformed: Mapping[str, Malformed] = {}
        self.statuses: dict[str, StoredStatus] = {}
        self.marks: dict[str, str] = {}
        self._own_annotation = own_annotation
        self._kind = kind
        self._keep_status = keep_status

    def read(self, raw: msgspec.Raw) -> StoredObject[T]:
        """Decode one object. Never raises: an unreadable object is an entry, too."""
        if memoryview(raw).nbytes > MAX_OBJECT_BYTES:
            value: T | Malformed = self._oversized(raw)
        else:
            value = decode(self._kind, raw)
        if isinstance(value, Malformed):
            version = decode_head(raw).resource_version
            return StoredObject(value.key, value.uid, version, value, self._status(raw))
        meta = value.metadata
        key = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
        return StoredObject(
            key, meta.uid, meta.resource_version, value, self._status(raw), self._take_mark(meta)
        )

    def replace(self, entries: Iterable[StoredObject[T]]) -> bool:
        """Take a complete list in the place of all known objects. Return whether any content differs."""
        objects: dict[str, T] = {}
        malformed: dict[str, Malformed] = {}
        old, old_malformed = self.objects, self.malformed
        self.statuses, self.marks = {}, {}
        for entry in entries:
            self._remember(entry)
            _place(entry, old.get(entry.key), objects, malformed)
        # Values that did not change are the very same ones: the comparison is one of identities.
        if objects == old and malformed == old_malformed:
            return False
        self.objects, self.malformed = objects, malformed
        return True

    def apply(self, changes: list[tuple[bool, StoredObject[T]]]) -> bool:
        """Take a batch of (deleted, entry) in order. Return whether any content differs."""
        objects, malformed = dict(self.objects), dict(self.malformed)
        changed = False
        for deleted, entry in changes:
            if deleted:
                changed |= self._remove(entry, objects, malformed)
            else:
                self._remember(entry)
                changed |= _place(entry, objects.get(entry.key), objects, malformed)
        if changed:
            self.objects, self.malformed = objects, malformed
        return changed

    def _remove(self, entry: StoredObject[T], objects: dict[str, T], malformed: dict[str, Malformed]) -> bool:
        changed = malformed.pop(entry.key, None) is not None
        old = objects.get(entry.key)
        # A DELETED of an older object of that name must not take the new one with it.
        if old is None or (entry.uid and old.metadata.uid != entry.uid):
            return changed
        del objects[entry.key]
        self.statuses.pop(entry.key, None)
        self.marks.pop(entry.key, None)
        return True

    def _remember(self, entry: StoredObject[T]) -> None:
        """Keep the status and the annotation, which are no part of the content."""
        if entry.mark is not None:
            self.marks[entry.key] = entry.mark
        else:
            self.marks.pop(entry.key, None)
        if self._keep_status:
            generation = 0 if isinstance(entry.value, Malformed) else entry.value.metadata.generation
            stored = StoredStatus(entry.uid, entry.resource_version, entry.status, generation)
            self.statuses[entry.key] = stored

    def _status(self, raw: msgspec.Raw) -> bytes:
        if not self._keep_status:
            return b""
        try:
            return bytes(_status_parts.decode(raw).status)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return b""

    def _take_mark(self, meta: Metadata) -> str | None:
        if not self._own_annotation:
            return None
        return cast(ObjectMeta, meta).annotations.pop(self._own_annotation, None)

    def _oversized(self, raw: msgspec.Raw) -> Malformed:
        head = decode_head(raw)
        error = f"{memoryview(raw).nbytes} bytes; objects of more than {MAX_OBJECT_BYTES} bytes are not read"
        return Malformed(self._kind.kind, head.namespace, head.name, head.uid, error)


_status_parts = msgspec.json.Decoder(_WithStatus)


def _place(
    entry: StoredObject[T], old: T | None, objects: dict[str, T], malformed: dict[str, Malformed]
) -> bool:
    """Put an entry into the mapping where it belongs, and return whether a mapping has changed.

    An unreadable entry leaves the last good state of the same object.
    """
    value, key = entry.value, entry.key
    if not isinstance(value, Malformed):
        objects[key] = old if old is not None and same_content(old, value) else value
        return malformed.pop(key, None) is not None or objects[key] is not old
    changed = malformed.get(key) != value
    malformed[key] = value
    if old is None or old.metadata.uid != entry.uid:
        return objects.pop(key, None) is not None or changed
    objects[key] = old
    return changed


def same_content(old: Any, new: Any) -> bool:
    """Return whether two views differ in nothing but their resource version."""
    if old.metadata.resource_version == new.metadata.resource_version != "":
        return bool(old.metadata.uid == new.metadata.uid)
    version = old.metadata.resource_version
    meta = msgspec.structs.replace(new.metadata, resource_version=version)
    return bool(msgspec.structs.replace(new, metadata=meta) == old)
