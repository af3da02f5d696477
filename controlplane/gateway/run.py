"""The life of the `fleetgate run` process: start in order, wait for a signal, end in order."""

import asyncio
import errno
import logging
import os

from msgspec.structs import replace

from controlplane.admin.server import AdminAddressError, AdminServer
from controlplane.admin.token import NAME, TokenError, TokenFile, new_token
from controlplane.gateway.gateway import Gateway
from controlplane.gateway.logs import configure
from controlplane.gateway.settings import Settings
from controlplane.gateway.workers import StateDirectoryInUse
from controlplane.kube.client import ApiClient, open_client
from controlplane.kube.errors import ConfigError
from controlplane.publish.saver import write_atomically
from controlplane.system import signals
from controlplane.system.statedir import Untrusted
from proxy import __version__

log = logging.getLogger(__name__)


LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Flags as a worker opens the file: without waiting for the reader of a pipe."""

NEVER_WRITABLE = (
    errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EPERM,
    errno.EROFS,
)  # fmt: skip


class CannotStart(Exception):
    """The options are wrong; the message names mistake and fix on one line."""


class AlreadyTaken(CannotStart):
    """Another program holds a needed resource; the message is as above."""


def run(settings: Settings) -> None:
    """Run the gateway until SIGTERM or SIGINT. Raises CannotStart."""
    handler = configure()
    try:
        asyncio.run(_serve_until_exit(settings))
    finally:
        handler.close()  # the cause is printed behind the log


async def _serve_until_exit(settings: Settings) -> None:
    try:
        await serve(settings)
    finally:
        signals.hold_until_exit()


class _Signals:
    """The effect of signals: the first one drains, the second one drains in a hurry."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.gateway: Gateway | None = None

    def on_end(self) -> None:
        if self.end.is_set() and self.gateway is not None:
            self.gateway.hurry()
        self.end.set()

    def on_reopen(self) -> None:
        if self.gateway is not None:
            self.gateway.reopen_logs()


async def serve(settings: Settings) -> None:
    """Run the gateway in this event loop. The first signal drains, the second shortens the drain."""
    asked = _Signals()
    signals.install(asked.on_end, asked.on_reopen)
    _check_members(settings)
    _check_access_log(settings.access_log)
    _check_token(settings)
    try:
        admin = AdminServer(settings.admin_host, settings.admin_port, settings.admin_names)
    except AdminAddressError as error:
        raise AlreadyTaken(str(error)) from error
    try:
        settings = replace(settings, admin_host=admin.host, admin_port=admin.port)  # as it is bound
        client = await _open_client(settings, asked.end)
        if client is None:
            return
        gateway = asked.gateway = await _start(settings, client)
        try:
            await admin.start(gateway, _token(settings))
            log.info("gateway started", extra={"version": __version__, "admin": admin.address})
            await _until_the_end(gateway, asked.end)
            log.info("draining", extra={"grace": settings.grace_s})
        finally:
            await gateway.stop()
    finally:
        await admin.stop()
    log.info("gateway stopped")


async def _open_client(settings: Settings, end: asyncio.Event) -> ApiClient | None:
    """Return None when a signal comes first: a kubeconfig may name a program that takes its time."""
    opening = asyncio.ensure_future(open_client(settings.fleet_kubeconfig))
    ending = asyncio.ensure_future(end.wait())
    await asyncio.wait((opening, ending), return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not opening.done():
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        return None
    try:
        return opening.result()
    except ConfigError as error:
        raise CannotStart(str(error)) from error


async def _start(settings: Settings, client: ApiClient) -> Gateway:
    try:
        gateway = Gateway(settings, client)
        await gateway.start()
    except StateDirectoryInUse as error:
        await client.close()
        raise AlreadyTaken(str(error)) from error
    except Untrusted as error:
        await client.close()
        raise CannotStart(f"state directory {settings.state_dir} cannot be trusted: {error}") from error
    except OSError as error:
        await client.close()
        raise CannotStart(
            f"state directory {settings.state_dir}: {error.strerror or error}; choose one with --state-dir"
        ) from error
    return gateway


def _check_token(settings: Settings) -> None:
    if settings.admin_token_file is not None:
        try:
            TokenFile(settings.admin_token_file).read()
        except TokenError as error:
            raise CannotStart(f"--admin-token-file {error}") from error


def _token(settings: Settings) -> TokenFile:
    """Return the file with the token of the admin API: the given file, or our own, which may be new."""
    if settings.admin_token_file is not None:
        return TokenFile(settings.admin_token_file)
    made = TokenFile(settings.state_dir.resolve() / NAME)
    try:
        made.read()
    except TokenError:
        try:
            write_atomically(made.path, new_token())
        except OSError as error:  # the gateway serves; requests that need the token say why it is missing
            log.error("no token for the admin API", extra={"cause": str(error)})
    return made


def _check_members(settings: Settings) -> None:
    for cluster, path in settings.members.items():
        if not path.is_file():
            raise CannotStart(f"--member {cluster}: there is no file {path}; give the path of its kubeconfig")


def _check_access_log(target: str) -> None:
    """Refuse a path that can never be written. A disk that is full now may be cleaned up: that waits."""
    if target in ("-", "off"):
        return
    try:
        os.close(os.open(target, LOG_FLAGS, 0o640))
    except OSError as error:
        if error.errno in NEVER_WRITABLE:
            raise CannotStart(
                f"--access-log {target}: {error.strerror}; give a file in a directory that can be written,"
                " - for standard output, or off"
            ) from error


async def _until_the_end(gateway: Gateway, end: asyncio.Event) -> None:
    signalled = asyncio.create_task(end.wait())
    await asyncio.wait((signalled, gateway.gave_up), return_when=asyncio.FIRST_COMPLETED)
    if gateway.gave_up.done():
        signalled.cancel()
        raise AlreadyTaken(f"{gateway.gave_up.result()}; there is no earlier snapshot to serve meanwhile")
