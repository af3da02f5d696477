"""The life of the `fleetgate run` process: start in order, wait for a signal, end in order."""

import asyncio
import logging
import signal

from controlplane.admin.server import AdminAddressError, AdminServer
from controlplane.gateway.dataplane import StateDirectoryInUse
from controlplane.gateway.gateway import Gateway
from controlplane.gateway.logs import configure
from controlplane.gateway.settings import Settings
from controlplane.kube.client import open_client
from controlplane.kube.errors import ConfigError
from proxy import __version__

log = logging.getLogger(__name__)


class CannotStart(Exception):
    """What was asked for is wrong; the message says on one line what, and what to do."""


class Unavailable(CannotStart):
    """What is needed is taken by somebody else; as above."""


def run(settings: Settings) -> None:
    """Run the gateway until SIGTERM or SIGINT. Raises CannotStart."""
    configure()
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Run the gateway in this event loop. The first signal drains, the second shortens the drain."""
    _check_members(settings)
    try:
        admin = AdminServer(settings.admin_host, settings.admin_port, settings.admin_names)
    except AdminAddressError as error:
        raise Unavailable(str(error)) from error
    try:
        gateway = await _start(settings)
        try:
            await admin.start(gateway)
            log.info("gateway started", extra={"version": __version__, "admin": admin.address})
            await _until_the_end(gateway)
            log.info("draining", extra={"grace": settings.grace_s})
        finally:
            await gateway.stop()
    finally:
        await admin.stop()
    log.info("gateway stopped")


async def _start(settings: Settings) -> Gateway:
    try:
        client = await open_client(settings.fleet_kubeconfig)
    except ConfigError as error:
        raise CannotStart(str(error)) from error
    try:
        gateway = Gateway(settings, client)
        await gateway.start()
    except StateDirectoryInUse as error:
        await client.close()
        raise Unavailable(str(error)) from error
    except OSError as error:
        await client.close()
        raise CannotStart(
            f"state directory {settings.state_dir}: {error.strerror or error}; choose one with --state-dir"
        ) from error
    return gateway


def _check_members(settings: Settings) -> None:
    for cluster, path in settings.members.items():
        if not path.is_file():
            raise CannotStart(f"--member {cluster}: there is no file {path}; give the path of its kubeconfig")


async def _until_the_end(gateway: Gateway) -> None:
    signalled = asyncio.create_task(_signalled(gateway))
    await asyncio.wait((signalled, gateway.gave_up), return_when=asyncio.FIRST_COMPLETED)
    if gateway.gave_up.done():
        signalled.cancel()
        raise Unavailable(f"{gateway.gave_up.result()}; there is no earlier snapshot to serve meanwhile")


async def _signalled(gateway: Gateway) -> None:
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            gateway.hurry()
        stop.set()

    # SIGHUP too: a closed terminal must not leave workers behind that nobody controls.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await stop.wait()
