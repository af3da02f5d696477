"""Bodies of the admin API. Requests: JSON of a known shape, of a bounded size. Responses: JSON in slices."""

from typing import Any, Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_BODY: Final = 128 << 10
MAX_OBJECTS: Final = 16 << 20
"""Of objects that are asked about: ten thousand Ingresses."""

T = TypeVar("T")

_SLICE: Final = 1000
"""Encoding is one step that no other thread interrupts: of 100,000 routes at once it takes 2 s."""


async def read_json(request: Request, shape: type[T]) -> T:
    """Return the body of a request. Raises HTTPException 413, 415 or 400."""
    body = await read_body(request, MAX_BODY)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(400, " ".join(str(error).split())) from None


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request, unread JSON of up to `most` bytes. Raises HTTPException 413, 415, 400."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise HTTPException(413, f"the body has {announced} bytes; at most {most} are read")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise HTTPException(413, f"the body is longer than {most} bytes; no more are read")
    except ClientDisconnect:
        raise HTTPException(400, "the body ended early") from None
    return bytes(body)


def encode(document: dict[str, Any]) -> bytes:
    """Return a document as JSON; in a thread, others may run between the slices of its lists."""
    members = (b"%b:%b" % (msgspec.json.encode(key), _encoded(value)) for key, value in document.items())
    return b"{%b}" % b",".join(members)


def _encoded(value: Any) -> bytes:
    if not isinstance(value, list):
        return msgspec.json.encode(value)
    slices = (msgspec.json.encode(value[start : start + _SLICE]) for start in range(0, len(value), _SLICE))
    return b"[%b]" % b",".join(each[1:-1] for each in slices)
