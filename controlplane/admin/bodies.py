"""Request bodies of the admin API: JSON of a known shape, of a bounded size."""

from typing import Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_BODY: Final = 64 * 1024 * 1024
"""All Ingresses of a large Fleet with room to spare."""

T = TypeVar("T")


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
