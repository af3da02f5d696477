"""Messages between the control plane and a worker, over one Unix stream socket.

Wire form: a 4-byte big-endian length, then one MessagePack message of the unions below. Listening
sockets travel on a second, SOCK_SEQPACKET socket inherited at start (`ListenerSocket` as JSON, the
descriptor as SCM_RIGHTS), because a listening socket must outlive the worker that accepts from it:
what waits in its queue when the worker dies is served by the next one.
"""

import struct
from typing import Generic, TypeVar

import msgspec

from proxy.model.snapshot import Service, Snapshot

MAX_MESSAGE_BYTES = 256 << 20
_LENGTH = struct.Struct(">I")


# From the control plane to a worker


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """Use this snapshot. Answered by Ack or Nack."""

    snapshot: Snapshot


class EndpointsChanged(msgspec.Struct, frozen=True, tag="endpoints"):
    """These services have new endpoints; routes and all other services stay as they are."""

    version: int
    services: tuple[Service, ...]


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Answer with Stats."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Stop accepting, finish what is in flight within `grace_s`, exit 0."""

    grace_s: float


ToWorker = Apply | EndpointsChanged | Report | Drain


# From a worker to the control plane


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of a worker on a new connection."""

    worker: int
    pid: int
    schema: int
    generation: str  # of the supervisor that started it: a survivor of an earlier one is told to drain
    applied: int = 0  # version of the snapshot it serves already


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    version: int


class Nack(msgspec.Struct, frozen=True, tag="nack"):
    """The snapshot cannot be used; the worker goes on with the one it has."""

    version: int
    reason: str


class RequestCount(msgspec.Struct, frozen=True):
    """Finished requests. `flag` is a key of proxy.model.flags.FLAGS, "-" when all went well."""

    listener: str
    route: str
    service: str
    cluster: str
    code_class: str  # "2xx" ...
    flag: str
    count: int


class DurationHistogram(msgspec.Struct, frozen=True):
    """Request durations by route and cluster; `buckets` are per bucket, not cumulative."""

    route: str
    cluster: str
    buckets: tuple[int, ...]  # one more than DURATION_BOUNDS_S: the last is +Inf
    sum_s: float
    request_bytes: int
    response_bytes: int


class AttemptCount(msgspec.Struct, frozen=True):
    """Attempts that failed, with where the request went next ("" when it ended there)."""

    service: str
    from_cluster: str
    to_cluster: str
    reason: str
    count: int


class EndpointStats(msgspec.Struct, frozen=True):
    service: str
    cluster: str
    address: str
    port: int
    state: str  # "healthy", "ejected", "probing", "draining"
    in_flight: int
    idle: int
    requests: int
    failures: int
    last_failure: str  # reason of the last failed attempt, "" when there was none


class ConnectionCount(msgspec.Struct, frozen=True):
    listener: str
    active: int
    accepted: int


class Stats(msgspec.Struct, frozen=True, tag="stats"):
    """Everything a worker counts, since its start. Counters only ever grow."""

    worker: int
    pid: int
    version: int
    requests: tuple[RequestCount, ...]
    durations: tuple[DurationHistogram, ...]
    attempts: tuple[AttemptCount, ...]
    endpoints: tuple[EndpointStats, ...]
    connections: tuple[ConnectionCount, ...]
    loop_lag_s: float  # worst since the last report
    log_lines_dropped: int


FromWorker = Hello | Ack | Nack | Stats


DURATION_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bucket bounds of OpenTelemetry's http.server.request.duration."""


class ListenerSocket(msgspec.Struct, frozen=True):
    """Says which listener the descriptor sent along belongs to."""

    address: str
    port: int


class ChannelError(Exception):
    """The peer sent something that is not a message of this protocol."""


Message = TypeVar("Message")


class Framer(Generic[Message]):
    """Cuts a byte stream into messages of one direction."""

    __slots__ = ("_buffer", "_decoder")

    def __init__(self, decoder: "msgspec.msgpack.Decoder[Message]") -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages completed by `data`. Raises ChannelError on anything else."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_MESSAGE_BYTES:
                raise ChannelError(f"message of {length} bytes; at most {MAX_MESSAGE_BYTES} are allowed")
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            try:
                messages.append(self._decoder.decode(buffer[start + _LENGTH.size : end]))
            except msgspec.MsgspecError as error:
                raise ChannelError(str(error)) from error
            start = end
        del buffer[:start]
        return messages


def to_worker_framer() -> Framer[ToWorker]:
    return Framer(msgspec.msgpack.Decoder(ToWorker))


def from_worker_framer() -> Framer[FromWorker]:
    return Framer(msgspec.msgpack.Decoder(FromWorker))


_encoder = msgspec.msgpack.Encoder()


def encode(message: ToWorker | FromWorker) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body
