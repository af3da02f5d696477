"""`fleetgate demo`: a Fleet, two clusters and the gateway on this machine, ready for curl and kubectl."""

import asyncio
import contextlib
import errno
import signal
import socket
import time
from collections.abc import Coroutine
from pathlib import Path

import click
import httpx

from controlplane.cli.failure import Unavailable
from controlplane.cli.gatewayoptions import tenancy_options
from controlplane.embedded.demo import CLUSTERS, HOST, Demo, DemoError, DemoOptions
from controlplane.supervisor.roster import Roster
from controlplane.system import cpus, signals
from controlplane.system.statedir import Untrusted

READY_S = 60.0
MAX_WORKERS = 64
MSE_HOST = "example.com"

EXAMPLES = """\b
Examples:
  fleetgate demo
  fleetgate demo --port 8101 --mse-port 8102 --admin-port 9911 --workers 1
  fleetgate demo --dir /tmp/fleet
"""

BANNER = """\
fleetgate demo serves http://127.0.0.1:{port} (ALB), http://127.0.0.1:{mse} (MSE) and
https://127.0.0.1:{https}; Ctrl-C ends it

  kubeconfigs   {dir}/fleet.kubeconfig  cluster-1.kubeconfig  cluster-2.kubeconfig
  logs          {dir}/access.log  gateway.log
  processes     {processes}

Try, in another terminal:

  # 1. weights: 20 % to cluster1, 80 % to cluster2
  for i in {{1..50}}; do curl -s -H 'host: {host}' 127.0.0.1:{port}/svc1; done | sort | uniq -c

  # 2. a header sends the request to cluster2
  curl -H 'host: {host}' -H 'stage: gray' 127.0.0.1:{port}/svc1

  # 3. cluster-2 goes away under load: not one request fails
  (sleep 1; kubectl --kubeconfig {dir}/cluster-2.kubeconfig -n web-demo \\
     scale deployment/web-demo --replicas=0) &
  for i in {{1..500}}; do curl -sf -H 'host: {host}' 127.0.0.1:{port}/svc1 || echo FAILED
  done | sort | uniq -c

  # 4. a bad annotation changes nothing, and says why: see the Events at the end
  kubectl --kubeconfig {dir}/fleet.kubeconfig -n web-demo annotate --overwrite \\
     ingress/web-demo alb.ingress.kubernetes.io/cluster-weight.cluster-1=30
  kubectl --kubeconfig {dir}/fleet.kubeconfig -n web-demo describe ingress/web-demo

  # 5. the other dialect, of the MseIngressConfig: the header sends the request to cluster2
  curl -H 'host: {mse_host}' -H 'stage: gray' 127.0.0.1:{mse}/service1
  kubectl --kubeconfig {dir}/fleet.kubeconfig get mseingressconfig,albconfig

  # 6. HTTPS, with the certificate of a Secret
  curl --cacert {dir}/ca.crt --resolve {host}:{https}:127.0.0.1 https://{host}:{https}/svc1

  # 7. what the gateway counts
  curl -s 127.0.0.1:{admin}/metrics | grep ^fleetgate_requests_total
"""


@click.command(name="demo", epilog=EXAMPLES, help="Serve a two-cluster demo until Ctrl-C.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8001, show_default=True,
    help="Listener port of the AlbConfig.",
)  # fmt: skip
@click.option(
    "--mse-port", type=click.IntRange(1, 65535), default=8002, show_default=True,
    help="Listener port of the MseIngressConfig.",
)  # fmt: skip
@click.option(
    "--https-port", type=click.IntRange(1, 65535), default=8443, show_default=True,
    help="HTTPS listener.",
)  # fmt: skip
@click.option(
    "--admin-port",
    type=click.IntRange(1, 65535),
    default=9901,
    show_default=True,
    help="Admin API and metrics.",
)
@click.option(
    "--workers", type=click.IntRange(1, MAX_WORKERS), default=lambda: min(cpus.usable(), MAX_WORKERS),
    help="Data plane processes; default: one per CPU that affinity and cgroup quota allow.",
)  # fmt: skip
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), default=Path(".fleetgate/demo"),
    show_default=True, help="Kubeconfigs, logs and state.",
)  # fmt: skip
@tenancy_options
def command(
    port: int,
    mse_port: int,
    https_port: int,
    admin_port: int,
    workers: int,
    directory: Path,
    host_ownership: str,
    cross_namespace: str,
) -> None:
    signals.prepare()
    options = {"--port": port, "--mse-port": mse_port, "--https-port": https_port, "--admin-port": admin_port}
    for option, number in options.items():
        if list(options.values()).count(number) > 1:
            raise click.UsageError(f"{option} {number} is another listener's, too; choose different ports")
        _check_free(number, option)
    try:
        gateway = ("--host-ownership", host_ownership, "--cross-namespace", cross_namespace)
        asyncio.run(_serve(DemoOptions(port, mse_port, https_port, admin_port, workers, directory, gateway)))
    except DemoError as error:
        raise Unavailable(str(error)) from error
    except Untrusted as error:
        raise Unavailable(f"--dir {directory} cannot be trusted: {error}") from error
    except OSError as error:
        raise Unavailable(f"--dir {directory}: {error.strerror}; choose one that can be written") from error


def _check_free(port: int, option: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Unavailable(f"port {port} is in use; choose another with {option}") from error
            raise Unavailable(
                f"port {port} cannot be used: {error.strerror}; choose another with {option}"
            ) from error


async def _serve(options: DemoOptions) -> None:
    stop = asyncio.Event()
    demo = Demo(options, _say)
    signals.install(stop.set, demo.reopen_logs)
    try:
        await _unless(stop, demo.start())
        await _unless(stop, _wait_until_ready(demo))
        if not stop.is_set():
            _say(_banner(demo))
            await stop.wait()
    finally:
        _say("stopping")
        await demo.stop()
        _end_orphans(options.directory / "state")
        signals.hold_until_exit()


def _say(line: str) -> None:
    """Print a line; a closed terminal, or a pipe without a reader, must not keep the demo from ending in
    order.
    """
    with contextlib.suppress(OSError):
        click.echo(line)


def _end_orphans(state: Path) -> None:
    """A killed gateway leaves workers that serve on, as they should; the end of the demo ends them."""
    for entry in Roster(state / "workers.json").survivors():
        entry.send(signal.SIGTERM)


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do `work`, but no longer than until a signal comes."""
    task = asyncio.ensure_future(work)
    signalled = asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, signalled), return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not task.done():
        task.cancel()
    await asyncio.gather(task, signalled, return_exceptions=True)
    if not task.cancelled():
        task.result()


async def _wait_until_ready(demo: Demo) -> None:
    """Wait until both clusters answer on both listeners. Raises DemoError."""
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
        for port, path, host in (
            (demo.options.port, "/default", HOST),
            (demo.options.mse_port, "/svc1", MSE_HOST),
        ):
            seen: set[str] = set()
            while len(seen) < len(CLUSTERS):
                if time.monotonic() > deadline:
                    what = f"the gateway did not serve both clusters on port {port} within {READY_S:.0f} s"
                    raise DemoError(demo.why(what))
                answer = await _answer(client, f"http://127.0.0.1:{port}{path}", host)
                if answer:
                    seen.add(answer)
                else:
                    await asyncio.sleep(0.05)


async def _answer(client: httpx.AsyncClient, url: str, host: str) -> str:
    """Return the body of the answer, "" without an answer of status 200."""
    try:
        answer = await client.get(url, headers={"host": host})
    except httpx.TransportError:
        return ""
    return answer.text if answer.status_code == 200 else ""


def _banner(demo: Demo) -> str:
    options = demo.options
    processes = ", ".join(f"{name} {child.process.pid}" for name, child in demo.children.items())
    directory = options.directory
    return BANNER.format(
        port=options.port,
        mse=options.mse_port,
        https=options.https_port,
        admin=options.admin_port,
        dir=directory,
        host=HOST,
        mse_host=MSE_HOST,
        processes=processes,
    )
