"""HTTP answers: JSON or YAML bodies, Status errors, warnings, watch streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from controlplane.embedded.api.body import JSON, YAML
from controlplane.embedded.errors import ApiError

_HEADERS = {"cache-control": "no-cache, private"}


def answer(body: bytes, *, status: int = 200, warnings: Iterable[str] = (), yaml: bool = False) -> Response:
    """`body` is JSON text; `yaml` converts it."""
    response = Response(_to_yaml(body) if yaml else body, status, _HEADERS, media_type=YAML if yaml else JSON)
    for warning in dict.fromkeys(warnings):
        text = warning.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace").decode()
        response.headers.append("warning", f'299 - "{text}"')
    return response


def answer_value(
    value: Any, *, status: int = 200, warnings: Iterable[str] = (), yaml: bool = False
) -> Response:
    return answer(msgspec.json.encode(value), status=status, warnings=warnings, yaml=yaml)


def answer_error(error: ApiError, warnings: Iterable[str] = ()) -> Response:
    response = answer_value(error.body(), status=error.code, warnings=warnings)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def _to_yaml(body: bytes) -> bytes:
    import yaml

    return yaml.safe_dump(msgspec.json.decode(body), sort_keys=False).encode()


class StreamAnswer(Response):
    """A watch: chunks as they come, ended by the client, the source or the server."""

    def __init__(self, chunks: AsyncIterator[bytes], close: Callable[[], None]) -> None:
        super().__init__(status_code=200, headers=_HEADERS, media_type=JSON)
        self._chunks = chunks
        self._close = close
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        gone = asyncio.create_task(self._until_disconnect(receive))
        try:
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._close()
            gone.cancel()

    async def _until_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._close()
