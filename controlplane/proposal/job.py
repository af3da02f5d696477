"""The input of the child process, as frames of a few hundred objects: no step of writing them is long.

A frame is a 4-byte length and a MessagePack `Piece`. The same code runs at both ends.
"""

import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, Final, get_type_hints

import msgspec
from msgspec import field
from msgspec.structs import fields, replace

from controlplane.resources.view import FleetObjects, MemberObjects
from controlplane.translate.keypairs import KeyPair
from controlplane.translate.model import Facts, LastGood
from proxy.model.channel import Part, decode_routes, decode_services, parts_of
from proxy.model.snapshot import Route, Service, Snapshot

SLICE: Final = 200
REFUSED: Final = 3
"""Exit status of a child that says why the objects cannot be looked at."""

_LENGTH: Final = struct.Struct(">I")
_HINTS: Final[dict[type, dict[str, Any]]] = {
    view: get_type_hints(view) for view in (FleetObjects, MemberObjects, LastGood)
}


class Basis(msgspec.Struct, frozen=True):
    """The state of the gateway: the objects of all API servers, its facts, and the snapshot in use."""

    running: Snapshot
    fleet: FleetObjects = field(default_factory=FleetObjects)
    members: Mapping[str, MemberObjects] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    last_good: LastGood = field(default_factory=LastGood)
    pairs: Mapping[str, KeyPair] = field(default_factory=dict)  # certificates in use, without private keys
    authorities: Mapping[str, bytes] = field(default_factory=dict)  # of clients


class Piece(msgspec.Struct, frozen=True):
    """`data` is a part of the collection that `place` names: ("fleet", "ingresses"), ("members", cluster,
    "slices") …
    """

    place: tuple[str, ...]
    data: msgspec.Raw


def frames(basis: Basis) -> Iterator[bytes]:
    """Yield a basis bit by bit. Its mappings may change meanwhile: each is copied when its turn comes."""
    yield _frame(("facts",), basis.facts)
    for part in parts_of(basis.running):
        yield _frame(("running", "part"), part)
    yield _frame(("running",), msgspec.structs.replace(basis.running, routes=(), services=()))
    yield from _mappings(("fleet",), basis.fleet)
    for name, member in basis.members.items():
        yield from _mappings(("members", name), member)
    for name in LastGood.__struct_fields__:
        for chunk in _chunks(getattr(basis.last_good, name)):
            yield _frame(("last_good", name), chunk)
    for chunk in _chunks(basis.pairs):
        yield _frame(("pairs",), chunk)
    for chunk in _chunks(basis.authorities):
        yield _frame(("authorities",), chunk)


def frame(value: object) -> bytes:
    """Return any value as one frame."""
    data = msgspec.msgpack.encode(value)
    return _LENGTH.pack(len(data)) + data


def read_frame(stream: BinaryIO) -> bytes:
    """Return the content of the next frame. Raises EOFError."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return _exactly(stream, length)


def read_basis(stream: BinaryIO) -> Basis:
    """Return the basis whose frames come next, up to an empty one. Raises EOFError, msgspec errors."""
    reader = _BasisReader()
    while data := read_frame(stream):
        reader.take(msgspec.msgpack.decode(data, type=Piece))
    return reader.basis()


END: Final = _LENGTH.pack(0)
"""After the last frame of a basis."""


class _BasisReader:
    """Puts a basis together."""

    def __init__(self) -> None:
        self._facts = Facts()
        self._head = Snapshot(0)
        self._routes: list[Route] = []
        self._services: list[Service] = []
        self._fleet: dict[str, Any] = {}
        self._fleet_rest = FleetObjects()
        self._members: dict[str, dict[str, Any]] = {}
        self._member_rest: dict[str, MemberObjects] = {}
        self._last_good: dict[str, Any] = {}
        self._pairs: dict[str, KeyPair] = {}
        self._authorities: dict[str, bytes] = {}

    def take(self, piece: Piece) -> None:
        match piece.place:
            case ("facts",):
                self._facts = msgspec.msgpack.decode(piece.data, type=Facts)
            case ("running", "part"):
                part = msgspec.msgpack.decode(piece.data, type=Part)
                self._routes += decode_routes(part)
                self._services += decode_services(part)
            case ("running",):
                self._head = msgspec.msgpack.decode(piece.data, type=Snapshot)
            case ("fleet",):
                self._fleet_rest = msgspec.msgpack.decode(piece.data, type=FleetObjects)
            case ("fleet", name):
                self._fleet.setdefault(name, {}).update(_decoded(FleetObjects, name, piece))
            case ("members", cluster):
                self._member_rest[cluster] = msgspec.msgpack.decode(piece.data, type=MemberObjects)
            case ("members", cluster, name):
                found = self._members.setdefault(cluster, {}).setdefault(name, {})
                found.update(_decoded(MemberObjects, name, piece))
            case ("last_good", name):
                self._last_good.setdefault(name, {}).update(_decoded(LastGood, name, piece))
            case ("pairs",):
                self._pairs.update(msgspec.msgpack.decode(piece.data, type=dict[str, KeyPair]))
            case ("authorities",):
                self._authorities.update(msgspec.msgpack.decode(piece.data, type=dict[str, bytes]))

    def basis(self) -> Basis:
        return Basis(
            msgspec.structs.replace(self._head, routes=tuple(self._routes), services=tuple(self._services)),
            replace(self._fleet_rest, **self._fleet),
            {
                cluster: replace(rest, **self._members.get(cluster, {}))
                for cluster, rest in self._member_rest.items()
            },
            self._facts,
            LastGood(**self._last_good),
            self._pairs,
            self._authorities,
        )


def _mappings(place: tuple[str, ...], objects: FleetObjects | MemberObjects) -> Iterator[bytes]:
    """Yield the mappings of a view in pieces, and then the rest of the view at once."""
    without: dict[str, Any] = {}
    for each in fields(objects):
        value = getattr(objects, each.name)
        if isinstance(value, Mapping):
            without[each.name] = {}
            for chunk in _chunks(value):
                yield _frame((*place, each.name), chunk)
    yield _frame(place, replace(objects, **without))


def _chunks(mapping: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    items = iter(dict(mapping).items())
    while chunk := dict(islice(items, SLICE)):
        yield chunk


def _decoded(view: type, name: str, piece: Piece) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.msgpack.decode(piece.data, type=_HINTS[view][name])
    return found


def _frame(place: tuple[str, ...], value: object) -> bytes:
    return frame(Piece(place, msgspec.Raw(msgspec.msgpack.encode(value))))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the job ended early")
    return data
