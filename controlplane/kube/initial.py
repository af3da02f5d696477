"""A list as a stream: a watch that begins with the present state (KEP-3157), never all in memory."""

import asyncio

from controlplane.kube.errors import StreamBroken
from controlplane.kube.store import Store, StoredObject, T
from controlplane.kube.transport import WatchStream
from controlplane.kube.watch import INITIAL_EVENTS_END, LineFramer, decode_event, decode_head

SINCE_MINOR = 32
"""Kubernetes 1.32 serves it by default; a server that has it switched off answers 422."""

SILENCE_S = 5.0
QUERY = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}


async def read_initial(
    stream: WatchStream, framer: LineFramer, store: Store[T]
) -> tuple[list[StoredObject[T]], str, list[bytes]]:
    """Return the present state, its resource version, and the lines that came after it.

    Raises StreamBroken when the server does not say where the present state ends.
    """
    entries: list[StoredObject[T]] = []
    while data := await _read(stream):
        lines = framer.feed(data)
        for number, line in enumerate(lines):
            event = decode_event(line)
            if event.type == "BOOKMARK":
                head = decode_head(event.object)
                if (head.annotations or {}).get(INITIAL_EVENTS_END) == "true":
                    return entries, head.resource_version, lines[number + 1 :]
            else:
                entries.append(store.read(event.object))
    raise StreamBroken("the server ended a streamed list before it was complete")


async def _read(stream: WatchStream) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await stream.read()
    except TimeoutError:
        raise StreamBroken("the server does not end its streamed list") from None
