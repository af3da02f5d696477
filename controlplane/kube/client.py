"""One API server over HTTP: bytes in, bytes out, every failure an error of `controlplane.kube.errors`."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import aiohttp
from yarl import URL

from controlplane.kube.access import ServerAccess, Source, load_access
from controlplane.kube.backoff import KNOCK, Backoff, RateLimit
from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.errors import ApiError, ConfigError, Unreachable
from controlplane.kube.resolver import NameResolver
from controlplane.kube.transport import (
    FAILURES,
    WatchStream,
    cause_of,
    keepalive_socket,
    read_body,
    read_error,
)
from proxy import __version__

USER_AGENT = f"fleetgate/{__version__}"
CONNECTIONS = 16
"""More than the watches of one server, few enough that a gateway is no burden to it."""

RATE_PER_S, BURST = 20.0, 40
REQUEST_TIMEOUT_S = 15.0
LIST_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
WATCH_SILENCE_S = 70.0
"""Bookmarks come about every 60 s, if at all: a watch that is silent for longer is opened anew."""

FILES_PERIOD_S = 60.0
MERGE_PATCH = "application/merge-patch+json"
_MINOR = re.compile(rb'"minor"\s*:\s*"(\d{1,4})')  # managed clusters say "32+"
NO_QUERY: Mapping[str, str] = {}
NO_HEADERS: Mapping[str, str] = {}


def _only_metadata(form: str) -> dict[str, str]:
    """Return the header that asks for metadata; a server that cannot cut objects down sends them whole."""
    return {"Accept": f"application/json;as={form};g=meta.k8s.io;v=v1,application/json"}


LIST_HEADERS = {False: {}, True: _only_metadata("PartialObjectMetadataList")}
WATCH_HEADERS = {False: {}, True: _only_metadata("PartialObjectMetadata")}


class ApiClient:
    """A session with one API server, limited in connections and in requests per second.

    Every method may raise Unreachable, ApiError and ConfigError (credentials that cannot be read).
    """

    def __init__(self, access: ServerAccess, source: Source, context: str | None, clock: Clock) -> None:
        self._contact = asyncio.Event()  # set while the server is reachable
        self._contact.set()
        self.last_contact = clock.monotonic()  # when the server last sent a byte
        self._access = access
        self._source = source
        self._context = context
        self._clock = clock
        self._minor: int | None = None
        self._limit = RateLimit(RATE_PER_S, BURST, clock)
        self._knocking = asyncio.Lock()
        self._knocks = Backoff(KNOCK, clock)
        self._stamps = access.stamps()
        self._stamped_at = clock.monotonic()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS, socket_factory=keepalive_socket, resolver=NameResolver()
            ),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            trust_env=False,  # a token must not go to a proxy or host of HTTP_PROXY or ~/.netrc
        )

    @property
    def server(self) -> str:
        return self._access.server

    @property
    def reachable(self) -> bool:
        """Whether the last that is known of the server is an answer, and not a failure to get one."""
        return self._contact.is_set()

    async def close(self) -> None:
        await self._session.close()

    async def get(
        self, path: str, query: Mapping[str, str] = NO_QUERY, *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> bytes:
        return await self.request("GET", path, query, timeout_s=timeout_s)

    async def list(
        self, path: str, query: Mapping[str, str] = NO_QUERY, *, metadata_only: bool = False
    ) -> bytes:
        """Return one page of a collection."""
        headers = LIST_HEADERS[metadata_only]
        return await self.request("GET", path, query, headers=headers, timeout_s=LIST_TIMEOUT_S)

    async def create(self, path: str, body: bytes, *, timeout_s: float = REQUEST_TIMEOUT_S) -> bytes:
        return await self.request("POST", path, body=body, timeout_s=timeout_s)

    async def update(self, path: str, body: bytes, *, timeout_s: float = REQUEST_TIMEOUT_S) -> bytes:
        return await self.request("PUT", path, body=body, timeout_s=timeout_s)

    async def patch(
        self, path: str, body: bytes, content_type: str = MERGE_PATCH, *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> bytes:
        return await self.request("PATCH", path, body=body, content_type=content_type, timeout_s=timeout_s)

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] = NO_QUERY,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> bytes:
        """Send a request and return the body of its successful answer."""
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        typed = {**headers, "Content-Type": content_type} if body is not None else headers
        with self._failures_as_unreachable():
            async with self._send(method, path, query, timeout, body, typed) as response:
                return await read_body(response)

    @asynccontextmanager
    async def watch(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        metadata_only: bool = False,
        silence_s: float = WATCH_SILENCE_S,
    ) -> AsyncIterator[WatchStream]:
        """Open a watch. Its reads fail when the server sends nothing for `silence_s`."""
        # No limit on the whole: the server ends a watch after its timeoutSeconds.
        timeout = aiohttp.ClientTimeout(
            total=None, connect=2 * CONNECT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s
        )
        async with AsyncExitStack() as stack:
            with self._failures_as_unreachable():
                headers = WATCH_HEADERS[metadata_only]
                opening = self._send("GET", path, {**query, "watch": "true"}, timeout, None, headers)
                response = await stack.enter_async_context(opening)
            yield WatchStream(response)

    async def reconnected(self) -> None:
        """Return when the server answers again; any number of tasks may wait, only one tries.

        So a server that is down sees two connects a minute, however many watches it had. A sign of life on a
        watch ends the wait: one request that timed out is no reason for a long silence.
        """
        async with self._knocking:
            while not self.reachable:
                await self._contact_within(self._knocks.next())
                if not self.reachable:
                    await self.probe(CONNECT_TIMEOUT_S)

    async def _contact_within(self, seconds: float) -> None:
        """Return at the server's next sign of life, or after `seconds`."""
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._contact.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def minor_version(self) -> int:
        """Return the minor version of the server's Kubernetes, 0 when it names none. Asked once."""
        if self._minor is None:
            try:
                found = _MINOR.search(await self.get("/version"))
            except ApiError:
                found = None
            self._minor = int(found[1]) if found else 0
        return self._minor

    async def probe(self, timeout_s: float) -> bool:
        """Return whether the server answers at all, be it with an error."""
        try:
            await self.get("/version", timeout_s=timeout_s)
        except ApiError:
            return True
        except (Unreachable, ConfigError):
            return False
        return True

    def heard(self) -> None:
        """Note that the server sent bytes."""
        self._contact.set()
        self.last_contact = self._clock.monotonic()

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send, once more with fresh credentials after a 401, and give only successful answers."""
        await self._limit.take()
        await self._reload_changed_files()
        response = await self._open(method, path, query, timeout, body, headers)
        if response.status == 401:
            response.close()
            await self._renew()
            response = await self._open(method, path, query, timeout, body, headers)
        async with response:
            if response.status >= 300:
                raise await read_error(response, self.server)
            yield response

    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> aiohttp.ClientResponse:
        access = self._access
        authorization = await access.credentials.authorization()
        if authorization:
            headers = {**headers, "Authorization": authorization}
        response = await self._session.request(
            method,
            URL(access.server + path, encoded=True).update_query(query),
            data=body,
            headers=headers,
            timeout=timeout,
            ssl=access.tls if access.tls is not None else True,
            server_hostname=access.tls_server_name or None,
            proxy=access.proxy or None,
            allow_redirects=False,  # a redirect would take the token to another host
        )
        self.heard()
        return response

    async def _renew(self) -> None:
        """Load all credentials again: a 401 may mean a rotated token, certificate or whole kubeconfig."""
        self._access.credentials.forget()
        self._access = await load_access(self._source, self._context, self._clock)
        self._stamps = self._access.stamps()

    async def _reload_changed_files(self) -> None:
        """Use a kubeconfig, CA or certificate that changed on disk; keep the old one if the new is bad."""
        now = self._clock.monotonic()
        if self.reachable and now - self._stamped_at < FILES_PERIOD_S:
            return
        self._stamped_at = now
        stamps = self._access.stamps()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            await self._renew()
        except ConfigError:
            pass  # half-written, most likely; a 401 will say if it matters

    @contextmanager
    def _failures_as_unreachable(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            self._contact.clear()
            raise Unreachable(self.server, cause_of(error)) from error


async def open_client(source: Source, context: str | None = None, clock: Clock = SYSTEM_CLOCK) -> ApiClient:
    """Return a client for the server that `source` names; connects on first use. Raises ConfigError."""
    return ApiClient(await load_access(source, context, clock), source, context, clock)
