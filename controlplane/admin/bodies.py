"""Bodies of the admin API. Requests: JSON of a known shape, of a bounded size. Responses: JSON in slices."""

from typing import Any, Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_BODY: Final = 64 * 1024 * 1024
"""All Ingresses of a large Fleet with room to spare."""

T = TypeVar("T")

_SLICE: Final = 1000
"""Encoding is one step that no other thread interrupts: of 100,000 routes at once it takes 2 s."""


async def read_json(request: Request, shape: type[T]) -> T:
    """Return the body of a request. Raises HTTPException 413, 415 or 400."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(400, " ".join(str(error).split())) from None


def encode(document: dict[str, Any]) -> bytes:
    """Return a document as JSON; in a thread, others may run between the slices of its lists."""
    members = (b"%b:%b" % (msgspec.json.encode(key), _encoded(value)) for key, value in document.items())
    return b"{%b}" % b",".join(members)


def _encoded(value: Any) -> bytes:
    if not isinstance(value, list):
        return msgspec.json.encode(value)
    slices = (msgspec.json.encode(value[start : start + _SLICE]) for start in range(0, len(value), _SLICE))
    return b"[%b]" % b",".join(each[1:-1] for each in slices)
