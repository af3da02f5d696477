"""A snapshot as a file: what a restarted gateway serves until an API server answers."""

import msgspec

from proxy.model.snapshot import SCHEMA, Snapshot

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Snapshot)


class SnapshotError(Exception):
    """The bytes are no snapshot this version can use; the message says why."""


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the JSON form of a snapshot, one line."""
    return _encoder.encode(snapshot) + b"\n"


def decode_snapshot(data: bytes) -> Snapshot:
    """Return the snapshot in `data`. Raises SnapshotError."""
    try:
        snapshot = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise SnapshotError(str(error)) from error
    if snapshot.schema != SCHEMA:
        raise SnapshotError(f"schema {snapshot.schema} is not the schema {SCHEMA} of this version")
    return snapshot
