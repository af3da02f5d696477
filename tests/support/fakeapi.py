"""A small API server that misbehaves on command: it serves stored objects unless a script says otherwise."""

import asyncio
import json
import ssl
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.fakestore import FakeStore

Json = dict[str, Any]


class Exchange:
    """One request and the means to answer it, properly or not."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.method = method
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.headers = headers
        self.body = body
        self.at = 0.0  # by the clock of the test, if it has one
        self.writer: asyncio.StreamWriter
        self.closed = False  # the connection must not be used again

    @property
    def verb(self) -> str:
        if self.method != "GET":
            return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(self.method, self.method.lower())
        return (
            "watch" if self.query.get("watch") == "true" else "list" if _is_collection(self.path) else "get"
        )

    async def answer(self, status: int, body: Json | bytes, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self._write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    async def fail(self, status: int, reason: str = "", message: str = "", **headers: str) -> None:
        body = {"kind": "Status", "code": status, "reason": reason, "message": message}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.answer(status, body, named)

    async def begin(self) -> None:
        """Start a watch response."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        await self._write(head)

    async def raw(self, data: bytes) -> None:
        await self._write(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, kind: str, item: Json) -> None:
        await self.raw(json.dumps({"type": kind, "object": item}).encode() + b"\n")

    async def bookmark(self, version: int, **annotations: str) -> None:
        meta = {"resourceVersion": str(version), "annotations": annotations}
        await self.event("BOOKMARK", {"metadata": meta})

    async def end(self) -> None:
        await self._write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close in the middle of whatever was being said."""
        self.closed = True
        self.writer.close()

    async def _write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Step = Callable[[Exchange], Awaitable[None]]


class FakeApi:
    """`script["watch endpointslices"]` holds the next answers; afterwards the store answers."""

    def __init__(self, minor: str = "30") -> None:
        self.store = FakeStore()
        self.requests: list[Exchange] = []
        self.script: defaultdict[str, deque[Step]] = defaultdict(deque)
        self.always: dict[str, Step] = {}
        self.tokens: set[str] | None = None  # None: anyone may come in
        self.minor = minor
        self.now: Callable[[], float] = lambda: 0.0
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, token: str = "t0ken") -> Json:
        return {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }

    def seen(self, key: str) -> list[Exchange]:
        """Return the requests of a verb and a plural, e.g. "watch services"."""
        return [request for request in self.requests if _key(request) == key]

    async def __aenter__(self) -> "FakeApi":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection, as a killed process does."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (exchange := await _read_request(reader)) is not None:
                exchange.writer, exchange.at = writer, self.now()
                self.requests.append(exchange)
                await self._answer(exchange)
                if exchange.closed:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        key = _key(exchange)
        if self.script[key]:
            return await self.script[key].popleft()(exchange)
        if key in self.always:
            return await self.always[key](exchange)
        if self.tokens is not None:
            token = exchange.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                return await exchange.fail(401, "Unauthorized", "Unauthorized")
        if exchange.path == "/version":
            return await exchange.answer(200, {"major": "1", "minor": self.minor})
        await self._from_store(exchange)

    async def _from_store(self, exchange: Exchange) -> None:
        store = self.store
        if exchange.verb == "list":
            return await exchange.answer(*store.list(_plural(exchange.path), exchange.query))
        if exchange.verb == "watch":
            await exchange.begin()
            async for line in store.watch(_plural(exchange.path), exchange.query):
                await exchange.raw(line)
            return await exchange.end()
        body = json.loads(exchange.body) if exchange.body else {}
        await exchange.answer(*store.write(exchange.verb, exchange.path, body))


async def _read_request(reader: asyncio.StreamReader) -> Exchange | None:
    head = await reader.readuntil(b"\r\n\r\n")
    request_line, *lines = head.decode().strip().split("\r\n")
    method, target, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Exchange(method, target, headers, body)


def _parts(path: str) -> list[str]:
    """Return the path below group and version, without the namespace: plural, name, subresource."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    return parts[2:] if len(parts) > 2 and parts[0] == "namespaces" else parts


def _is_collection(path: str) -> bool:
    return len(_parts(path)) == 1


def _plural(path: str) -> str:
    return (_parts(path) or [path.strip("/")])[0]


def _key(exchange: Exchange) -> str:
    return f"{exchange.verb} {_plural(exchange.path)}"
