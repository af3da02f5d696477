"""A watch response as events: bytes to lines to typed events. No part of it ever guesses at a cut line."""

import msgspec

from controlplane.kube.errors import ApiError, StreamBroken

MAX_LINE_BYTES = 8 << 20
"""etcd stores objects of at most 1.5 MiB; a line beyond this is no event."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class WatchEvent(msgspec.Struct, frozen=True):
    """`type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; `object` its undecoded JSON."""

    type: str
    object: msgspec.Raw


class Head(msgspec.Struct, frozen=True, rename="camel"):
    """The part of any object's metadata that the protocol itself needs."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Headed(msgspec.Struct, frozen=True):
    metadata: Head = Head()


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True):
    """metav1.Status: the error of an API server."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


_events = msgspec.json.Decoder(WatchEvent)
_heads = msgspec.json.Decoder(_Headed)
_statuses = msgspec.json.Decoder(Status)


class LineFramer:
    """Cuts a byte stream into lines."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines completed by `data`, without blank ones. Raises StreamBroken."""
        rest = self._rest
        if not rest and data.endswith(b"\n"):  # the usual case: whole events, nothing to copy twice
            lines = data.split(b"\n")
        else:
            end = data.rfind(b"\n")
            rest += data
            if end < 0:
                lines = []
            else:
                end += len(rest) - len(data)
                lines = bytes(rest[:end]).split(b"\n")
                del rest[: end + 1]
        if len(rest) > MAX_LINE_BYTES:
            raise StreamBroken(f"a line of the watch is longer than {MAX_LINE_BYTES >> 20} MiB", relist=True)
        return [line for line in lines if line]

    def finish(self) -> None:
        """End the stream. Raises StreamBroken when it ended inside a line."""
        if self._rest.strip():
            raise StreamBroken("the watch ended in the middle of an event")


def decode_event(line: bytes) -> WatchEvent:
    """Return the event of one line. Raises StreamBroken, and ApiError for an ERROR event."""
    try:
        event = _events.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise StreamBroken("a line of the watch is no event") from None
    if event.type == "ERROR":
        raise as_error(0, bytes(event.object))
    return event


def decode_head(raw: msgspec.Raw) -> Head:
    """Return the metadata of any object, empty when there is none."""
    try:
        return _heads.decode(raw).metadata
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Head()


def as_error(code: int, body: bytes, server: str = "", retry_after: float = 0.0) -> ApiError:
    """Return the ApiError for an answer, whether or not its body is a Status object."""
    try:
        status = _statuses.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        status = Status(message=body[:200].decode("utf-8", "replace"))
    if status.details:
        retry_after = retry_after or float(status.details.retry_after_seconds)
    return ApiError(code or status.code, status.reason, status.message, server, retry_after)
