"""The admin API's own listener, served by uvicorn inside the control plane's event loop."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

import uvicorn

from controlplane.admin.access import AdminAccess
from controlplane.admin.app import build_app
from controlplane.admin.connections import PATIENCE_S, AdminProtocol, Waiting
from controlplane.admin.hosts import host_name
from controlplane.admin.state import Source
from controlplane.admin.token import TokenFile


class AdminAddressError(Exception):
    """The admin address cannot be bound; the message has the reason and the fix."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the gateway: they drain the workers first."""
        yield


class AdminServer:
    """See `start`, `stop`, `address`."""

    def __init__(self, host: str, port: int, names: Iterable[str]) -> None:
        """Bind at once, so that a busy port is known before the rest of the gateway starts.

        `port` 0 takes a free one. Raises AdminAddressError.
        """
        self._socket = bind(host, port)
        self._names = {host_name(host), *names}
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def host(self) -> str:
        """Address that it is bound to."""
        host: str = self._socket.getsockname()[0]
        return host.partition("%")[0]

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """HOST:PORT as it is bound."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return ip_address(self.host).is_loopback

    async def start(self, source: Source, token: TokenFile) -> None:
        config = uvicorn.Config(
            build_app(source, self._names, AdminAccess(token, self.is_local)),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            http=AdminProtocol,
            timeout_keep_alive=int(PATIENCE_S[Waiting.REQUEST]),
            timeout_graceful_shutdown=2,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([self._socket]), name="admin")

    async def stop(self) -> None:
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        self._socket.close()


def bind(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket. Raises AdminAddressError."""
    name = host_name(host) or "127.0.0.1"
    try:
        (family, *_, address), *_ = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AdminAddressError(f"admin address {host}: {error.strerror}; use --admin HOST:PORT") from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # bind alone succeeds beside another socket that is bound but not listening
    except OSError as error:
        listening.close()
        cause = "is in use" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0).lower()
        raise AdminAddressError(
            f"admin address {host}:{port}: {cause}; stop the other process or choose another one"
            " with --admin HOST:PORT"
        ) from None
    return listening
