"""A snapshot as a file, which a restarted gateway serves until an API server answers."""

import msgspec

from proxy.model.snapshot import SCHEMA, Snapshot

_SLICE = 1000

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Snapshot)


class SnapshotError(Exception):
    """The bytes are no snapshot this version can use; the message says why."""


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the JSON form of a snapshot, one line.

    Routes and services are encoded in slices, between which other threads may run.
    """
    members = []
    for name in snapshot.__struct_fields__:
        value = getattr(snapshot, name)
        text = _sliced(value) if isinstance(value, tuple) else _encoder.encode(value)
        members.append(b"%b:%b" % (_encoder.encode(name), text))
    return b"{%b}\n" % b",".join(members)


def _sliced(items: tuple[object, ...]) -> bytes:
    slices = (_encoder.encode(items[start : start + _SLICE]) for start in range(0, len(items), _SLICE))
    return b"[%b]" % b",".join(each[1:-1] for each in slices)


def decode_snapshot(data: bytes) -> Snapshot:
    """Return the snapshot in `data`. Raises SnapshotError."""
    try:
        snapshot = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise SnapshotError(str(error)) from error
    if snapshot.schema != SCHEMA:
        raise SnapshotError(f"schema {snapshot.schema} is not the schema {SCHEMA} of this version")
    return snapshot
