"""`fleetgate apiserver`: a small Kubernetes-compatible API server, for demos and tests without a cluster."""

import asyncio
import base64
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from controlplane.cli.failure import Failure
from controlplane.system import signals

if TYPE_CHECKING:
    from controlplane.embedded.launch import Options

EXAMPLES = """\b
Examples:
  fleetgate apiserver --name fleet --port 6443 --kubeconfig fleet.kubeconfig
  fleetgate apiserver --name cluster-1 --kubeconfig c1.kubeconfig --apply manifests/
  fleetgate apiserver --name cluster-1 --kubeconfig c1.kubeconfig --controller
  kubectl --kubeconfig fleet.kubeconfig get ingress --all-namespaces
"""

_FILE = click.Path(path_type=Path)


@click.command(name="apiserver", epilog=EXAMPLES)
@click.option("--name", required=True, envvar="FLEETGATE_APISERVER_NAME", help="Name of the cluster.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--kubeconfig",
    type=_FILE,
    metavar="FILE",
    help="File to write the kubeconfig to, mode 0600, once the server listens.",
)
@click.option("--token-file", type=_FILE, metavar="FILE", help="Bearer token; default: a random one.")
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="Certificate chain, PEM; default: self-signed.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Private key, PEM.")
@click.option("--advertise", default="", metavar="HOST", help="Host name in the kubeconfig, if not --host.")
@click.option(
    "--apply", type=_FILE, multiple=True, metavar="PATH", help="Manifest file or directory; repeatable."
)
@click.option(
    "--controller", is_flag=True, help="Run Deployments: their pods are small HTTP servers on this machine."
)
@click.option("--pod-host", metavar="HOST", help="Address of all pods; default: a loopback address for each.")
def command(controller: bool, pod_host: str | None, **given: Any) -> None:
    """Run a small Kubernetes-compatible API server until SIGTERM or Ctrl-C."""
    signals.prepare()
    from controlplane.embedded.launch import Options
    from controlplane.embedded.server import StartError

    options = Options(**given)
    if controller and options.kubeconfig is None:
        raise Failure("--controller needs --kubeconfig FILE: it is a client of the API server like any other")
    try:
        asyncio.run(serve(options, controller, pod_host))
    except StartError as error:
        raise Failure(str(error)) from error


async def serve(options: "Options", controller: bool, pod_host: str | None) -> None:
    """Run the API server, and with `controller` its controllers. Raises StartError."""
    from controlplane.embedded import launch

    asked, stopped = asyncio.Event(), asyncio.Event()
    controllers: list[asyncio.Task[None]] = []

    def started(line: str) -> None:
        click.echo(line)
        if controller and options.kubeconfig is not None:
            work = controllers_of(options.name, options.kubeconfig, pod_host)
            controllers.append(asyncio.create_task(work, name="controllers"))

    async def stop_in_order() -> None:
        """End the pods and their watches first: the server waits for its clients."""
        await asked.wait()
        for task in controllers:
            task.cancel()
        await asyncio.gather(*controllers, return_exceptions=True)
        stopped.set()

    signals.install(asked.set, signals.nothing_to_reopen)
    stopping = asyncio.create_task(stop_in_order(), name="stop")
    try:
        await launch.serve(options, started, stopped)
    finally:
        stopping.cancel()
        signals.hold_until_exit()


def controllers_of(name: str, kubeconfig: Path, pod_host: str | None) -> Coroutine[Any, Any, None]:
    """Return the work of the controllers, as a client with the kubeconfig that the server wrote."""
    from controlplane.embedded.controller import run_controller

    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = cluster.get("certificate-authority-data")
    return run_controller(
        cluster["server"],
        user["token"],
        cluster=name,
        pod_host=pod_host,
        ca_pem=base64.b64decode(authority) if authority else None,
    )
