"""Messages between the control plane and a worker, over one Unix stream socket.

Wire form: a 4-byte big-endian length, then one MessagePack message of the unions below. A snapshot is sent in
parts, because a decoder cannot be interrupted: 10,000 routes at once take 28 ms. Listening sockets travel
on a second, SOCK_SEQPACKET socket inherited at start (`ListenerSocket` as JSON, the descriptor as
SCM_RIGHTS), because a listening socket must outlive the worker that accepts from it: the next worker serves
the connections in its queue.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from proxy.model.snapshot import Route, Service, Snapshot
from proxy.model.statistics import Stats, StatsPart
from proxy.model.tls import Certificate

MAX_MESSAGE_BYTES = 256 << 20
SESSION_KEY_BYTES = 32
PART_SIZE = 64
"""Routes, or services with their endpoints, in one part of a snapshot."""

_LENGTH = struct.Struct(">I")


# From the control plane to a worker


class Part(msgspec.Struct, frozen=True, tag="part"):
    """Some routes and services of the snapshot that the next Apply is about, to be decoded one by one.

    They are bytes within the message, so that the reader reaches the messages behind them at once.
    """

    routes: bytes  # tuple[Route, ...]
    services: bytes  # tuple[Service, ...]


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """Use this snapshot. Answered by Ack or Nack.

    On the wire its routes and services are in the parts before it: the receiver's `snapshot` has none.
    """

    snapshot: Snapshot


class EndpointsChanged(msgspec.Struct, frozen=True, tag="endpoints"):
    """These services have new endpoints; routes and all other services stay as they are.

    Answered by Ack with the version that the worker serves with them.
    """

    version: int  # of the snapshot that the endpoints are from
    services: tuple[Service, ...]


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Answer with Stats."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Stop accepting, finish the requests in flight within `grace_s` seconds, exit 0."""

    grace_s: float


class Ejection(msgspec.Struct, frozen=True):
    """The breaker of this endpoint has opened."""

    service: str
    cluster: str
    address: str
    port: int
    stalled: bool  # it accepts, and answers nothing
    unreachable: bool = False  # not even connects are answered


class Ejections(msgspec.Struct, frozen=True, tag="ejections"):
    """Ejections of one worker, which the control plane passes on to all others."""

    endpoints: tuple[Ejection, ...]


class UseSessionKey(msgspec.Struct, frozen=True, tag="session-key"):
    """Name endpoints in cookies with this key. It travels here and nowhere else: no snapshot has it."""

    key: bytes

    def __repr__(self) -> str:
        return "UseSessionKey(…)"


TICKET_SECRET_BYTES = 32


class UseTicketSecret(msgspec.Struct, frozen=True, tag="ticket-secret"):
    """Derive the keys of TLS session tickets from this secret, which travels here and nowhere else."""

    secret: bytes

    def __repr__(self) -> str:
        return "UseTicketSecret(…)"


class UseCertificates(msgspec.Struct, frozen=True, tag="certificates"):
    """Serve TLS with these, too, and forget others. Private keys travel here and nowhere else.

    Sent before the snapshot that names them; the ids of `removed` are in no snapshot that is served.
    """

    added: tuple[Certificate, ...] = ()
    removed: tuple[str, ...] = ()


class Hold(msgspec.Struct, frozen=True):
    """A cluster that an Ingress with `failback: manual` keeps out of its traffic to a service."""

    ingress: str  # namespace/name
    service: str
    cluster: str


class Holds(msgspec.Struct, frozen=True, tag="holds"):
    """Further clusters that are held out now.

    From a worker: it has seen them fail. To a worker: others have, or did before this worker began.
    """

    clusters: tuple[Hold, ...]


class LetBack(msgspec.Struct, frozen=True, tag="let-back"):
    """These are held out no longer."""

    clusters: tuple[Hold, ...]


ToWorker = (
    Ejections
    | Holds
    | LetBack
    | UseSessionKey
    | UseCertificates
    | UseTicketSecret
    | Part
    | Apply
    | EndpointsChanged
    | Report
    | Drain
)


# From a worker to the control plane


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of a worker on a new connection."""

    worker: int
    pid: int
    schema: int
    generation: str  # of the supervisor that started it: a survivor of an earlier one is told to drain
    applied: int = 0  # version of the snapshot it serves already
    dataplane: str = "pure"  # or "compiled": the build of its modules


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """All of this version is in use, endpoints included."""

    version: int


class Nack(msgspec.Struct, frozen=True, tag="nack"):
    """The snapshot cannot be used; the worker goes on with the one it has."""

    version: int
    reason: str


FromWorker = Ejections | Holds | Hello | Ack | Nack | StatsPart | Stats


class StatsJoiner:
    """Puts the parts of a worker's Stats together."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[StatsPart] = []

    def whole(self, message: FromWorker) -> FromWorker | None:
        """Return the message that this part completes, None while parts are missing."""
        if isinstance(message, StatsPart):
            self._parts.append(message)
            return None
        if isinstance(message, Stats) and self._parts:
            parts, self._parts = self._parts, []
            return msgspec.structs.replace(
                message,
                requests=tuple(count for part in parts for count in part.requests),
                durations=tuple(histogram for part in parts for histogram in part.durations),
                endpoints=tuple(endpoint for part in parts for endpoint in part.endpoints),
            )
        return message


class ListenerSocket(msgspec.Struct, frozen=True):
    """Says which listener the descriptor sent along belongs to."""

    address: str
    port: int


class Place(msgspec.Struct, frozen=True):
    """Says which worker a spare process becomes. Sent as JSON with two descriptors: the socket that listening
    sockets come over, and the liveness page.
    """

    worker: int


class ChannelError(Exception):
    """The peer sent bytes that are no message of this protocol."""


Message = TypeVar("Message")
Item = TypeVar("Item")


class Framer(Generic[Message]):
    """Cuts a byte stream into messages of one direction."""

    __slots__ = ("_buffer", "_decoder")

    def __init__(self, decoder: "msgspec.msgpack.Decoder[Message]") -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages completed by `data`. Raises ChannelError for bytes that are no message."""
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
            messages.append(_decode(self._decoder, buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return messages


def to_worker_framer() -> Framer[ToWorker]:
    return Framer(msgspec.msgpack.Decoder(ToWorker))


def from_worker_framer() -> Framer[FromWorker]:
    return Framer(msgspec.msgpack.Decoder(FromWorker))


_encoder = msgspec.msgpack.Encoder()
_routes_decoder = msgspec.msgpack.Decoder(tuple[Route, ...])
_services_decoder = msgspec.msgpack.Decoder(tuple[Service, ...])


def encode(message: ToWorker | FromWorker) -> bytes:
    if isinstance(message, Apply):
        head = msgspec.structs.replace(message.snapshot, routes=(), services=())
        return b"".join((*map(_frame, parts_of(message.snapshot)), _frame(Apply(head))))
    return _frame(message)


def parts_of(snapshot: Snapshot) -> Iterator[Part]:
    """Cut the routes and services into parts that are decoded in about a quarter of a millisecond."""
    for routes in batches(snapshot.routes, lambda _: 1):
        yield Part(_encoder.encode(routes), _NOTHING)
    for services in batches(snapshot.services, lambda s: 1 + sum(len(c.endpoints) for c in s.clusters)):
        yield Part(_NOTHING, _encoder.encode(services))


def decode_routes(part: Part) -> tuple[Route, ...]:
    """Raises ChannelError."""
    return _decode(_routes_decoder, part.routes)


def decode_services(part: Part) -> tuple[Service, ...]:
    """Raises ChannelError."""
    return _decode(_services_decoder, part.services)


_NOTHING = _encoder.encode(())


def batches(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Cut into lists of PART_SIZE, or as little above it as the size of an item allows."""
    group: list[Item] = []
    total = 0
    for item in items:
        group.append(item)
        total += size(item)
        if total >= PART_SIZE:
            yield group
            group, total = [], 0
    if group:
        yield group


def _decode(decoder: "msgspec.msgpack.Decoder[Message]", data: bytes | bytearray) -> Message:
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ChannelError(str(error)) from error


def _frame(message: ToWorker | FromWorker) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body
