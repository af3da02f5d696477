"""Runs one embedded API server until a signal: `python -m controlplane.embedded`, `fleetgate apiserver`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from controlplane.embedded.kubeconfig import write_private
from controlplane.embedded.server import EmbeddedServer, StartError
from controlplane.system import signals


class Options(msgspec.Struct, frozen=True):
    """`apply` names manifest files or directories created at start; `token_file` wins over `token`."""

    name: str
    host: str = "127.0.0.1"
    port: int = 0
    kubeconfig: Path | None = None
    token: str | None = None
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    advertise: str = ""
    apply: tuple[Path, ...] = ()


async def serve(options: Options, say: Callable[[str], None], stopped: asyncio.Event) -> None:
    """Serves until `stopped` is set; raises StartError with one line for the user."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise StartError("--tls-cert and --tls-key: give both or neither")
    server = EmbeddedServer(
        options.name,
        host=options.host,
        port=options.port,
        token=_token(options),
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        advertise=options.advertise,
    )
    await server.start()
    try:
        if options.apply:
            server.apply(options.apply)
        if options.kubeconfig is not None:
            try:
                write_private(options.kubeconfig, server.kubeconfig())
            except OSError as error:
                raise StartError(
                    f"--kubeconfig {options.kubeconfig}: {error.strerror}; give a writable path"
                ) from None
        say(f"API server {options.name} serves {server.url}")
        await stopped.wait()
    finally:
        await server.stop()


def run(options: Options, say: Callable[[str], None]) -> None:
    """Blocks until SIGINT or SIGTERM; raises StartError."""

    async def main() -> None:
        stopped = asyncio.Event()
        signals.install(stopped.set, signals.nothing_to_reopen)
        try:
            await serve(options, say, stopped)
        finally:
            signals.hold_until_exit()

    import uvloop

    uvloop.run(main())


def _token(options: Options) -> str | None:
    if options.token_file is None:
        return options.token
    try:
        token = options.token_file.read_text().strip()
    except OSError as error:
        raise StartError(
            f"--token-file {options.token_file}: {error.strerror}; give a readable file"
        ) from None
    if not token:
        raise StartError(f"--token-file {options.token_file}: is empty; put the token on its first line")
    return token
