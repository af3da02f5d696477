"""An embedded Kubernetes API server on the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from controlplane.embedded.api.app import Api
from controlplane.embedded.auth import Tokens
from controlplane.embedded.certificate import self_signed
from controlplane.embedded.cluster import Cluster
from controlplane.embedded.kubeconfig import kubeconfig_text
from controlplane.embedded.startup import ManifestError, apply_paths

# A watch of a client that has vanished, or does not read, would last for up to an hour: the kernel ends it
# after a minute. Connections inherit these from their listener.
VANISHED = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)


class StartError(Exception):
    """The server cannot start; the message is one line for the user."""


class EmbeddedServer:
    """One cluster served over HTTPS (kubectl sends its token over nothing else).

    `token` None generates one; without `tls_cert`/`tls_key` files a self-signed certificate is made, which
    the
    kubeconfig trusts. `advertise` is the host name in the kubeconfig when it differs from `host`; `history`
    is the number of changes per kind a watch can go back.
    """

    def __init__(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
        advertise: str = "",
        history: int = 4096,
    ) -> None:
        self.name = name
        self.token = token or secrets.token_urlsafe(32)
        self._host = host
        self._port = port
        self._files = (tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
        self._advertise = advertise or ("127.0.0.1" if host in ("", "0.0.0.0", "::") else host)
        self._history = history
        self._ca: bytes | None = None
        self._cluster: Cluster | None = None
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        host = f"[{self._advertise}]" if ":" in self._advertise else self._advertise
        return f"https://{host}:{self._port}"

    @property
    def ca_pem(self) -> bytes | None:
        """The CA that a client must trust; None when the CA of a given certificate is not known."""
        return self._ca

    def kubeconfig(self) -> str:
        """A kubeconfig (YAML) whose context is called `name`."""
        return kubeconfig_text(self.name, self.url, self.token, self._ca)

    async def start(self) -> None:
        """Listens and serves; raises StartError when the port or the certificate cannot be used."""
        listener = self._listen()
        try:
            context = self._tls()
            self._cluster = Cluster(self.name, self._history)
            app = Api(self._cluster, Tokens(self.token)).app()
            config = uvicorn.Config(
                app,
                log_config=None,
                log_level="error",
                access_log=False,
                lifespan="off",
                server_header=False,
                date_header=True,
                timeout_graceful_shutdown=2,
                ws="none",
                http="auto",
                timeout_keep_alive=75,
            )
            config.load()
            config.ssl = context
            self._server = _Server(config)
        except BaseException:
            listener.close()
            raise
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.listening.wait()

    def apply(self, paths: Sequence[Path]) -> None:
        """Creates the objects of manifest files and directories; raises StartError naming file and object."""
        if self._cluster is None:
            raise StartError(f"API server {self.name}: not started yet")
        try:
            apply_paths(self._cluster, paths)
        except ManifestError as error:
            raise StartError(str(error)) from None

    async def stop(self) -> None:
        """Ends all watches and connections, and waits for them."""
        if self._server is None or self._task is None or self._cluster is None:
            return
        self._cluster.store.close()
        self._server.should_exit = True
        await self._task
        self._server = self._task = None

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # asyncio turns Nagle off only where the protocol number says TCP; with it answers took 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in VANISHED:
            listener.setsockopt(level, option, value)
        try:
            listener.bind((self._host, self._port))
            listener.listen(512)
        except OSError as error:
            listener.close()
            raise StartError(
                f"API server {self.name}: cannot listen on {self._host}:{self._port}: {error.strerror}; "
                "choose another --port or stop what uses it"
            ) from None
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        return listener

    def _load_files(self, context: ssl.SSLContext, cert: Path, key: Path) -> bytes:
        try:
            context.load_cert_chain(cert, key)
            return cert.read_bytes()
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"API server {self.name}: cannot use certificate {cert}: {error}") from None

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        if self._files is not None:
            self._ca = self._load_files(context, *self._files)
            return context
        hosts = dict.fromkeys((self._advertise, "localhost", "127.0.0.1", "::1"))
        self._ca, key = self_signed(f"fleetgate {self.name}", list(hosts))
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # mkstemp mode 0600; gone again at once
            file.write(self._ca + key)
            file.flush()
            context.load_cert_chain(file.name)
        return context


class _Server(uvicorn.Server):
    """Says when it listens; signals belong to the process, not to one of its servers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
