"""`fleetgate run`: the gateway."""

import ipaddress
import re
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controlplane.cli.failure import Failure, Unavailable
from controlplane.cli.gatewayoptions import gateway_options, tenancy
from controlplane.system import cpus, signals, statedir

if TYPE_CHECKING:
    from proxy.model.limits import Limits

EXAMPLES = """\b
Examples:
  fleetgate run --fleet-kubeconfig fleet.kubeconfig --member cluster-1=c1.kubeconfig
  fleetgate run --fleet-kubeconfig fleet.kubeconfig --workers 4 --admin 127.0.0.1:9901
  fleetgate run --state-dir /var/lib/fleetgate --address gateway.example.com
  FLEETGATE_MEMBERS="a=a.kubeconfig b=b.kubeconfig" fleetgate run --access-log off
"""

CLUSTER_ID = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?")  # a label value of Kubernetes


MAX_WORKERS = 256

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.is_file() else "default"


def default_state_dir() -> Path:
    try:
        return statedir.default()
    except RuntimeError:
        raise Failure("there is no home directory to keep the state in; give --state-dir DIR") from None


def parse_members(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    members: dict[str, Path] = {}
    for value in values:
        cluster, equals, path = value.partition("=")
        if not equals or not path or not CLUSTER_ID.fullmatch(cluster):
            raise Failure(
                f"--member {value!r} is not ID=KUBECONFIG; write e.g. --member cluster-1=c1.kubeconfig"
            )
        if cluster in members:
            raise Failure(f"--member {cluster} is given twice; every cluster needs an id of its own")
        members[cluster] = Path(path)
    return members


def parse_address(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise Failure(f"--admin {value!r} is not HOST:PORT with a port from 0 to 65535; e.g. 127.0.0.1:9901")
    return host, int(port)


def parse_ip_address(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError:
        raise Failure(f"--listen {value!r} is no IP address; write e.g. 127.0.0.1, or leave it out") from None


@click.command(name="run", epilog=EXAMPLES, help="Run the gateway until SIGTERM or Ctrl-C.")
@click.option(
    "--fleet-kubeconfig",
    type=click.Path(path_type=Path),
    envvar="FLEETGATE_FLEET_KUBECONFIG",
    metavar="FILE",
    help="API server with the rules; default: the service account of the pod.",
)
@click.option(
    "--member",
    "members",
    multiple=True,
    callback=parse_members,
    envvar="FLEETGATE_MEMBERS",
    metavar="ID=FILE",
    help="Member cluster and its kubeconfig; repeatable. Others come from Secrets in --namespace.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    default=lambda: min(cpus.usable(), MAX_WORKERS),
    envvar="FLEETGATE_WORKERS",
    help="Data plane processes; default: one per CPU that affinity and cgroup quota allow.",
)
@click.option(
    "--admin",
    callback=parse_address,
    default="127.0.0.1:9901",
    show_default=True,
    envvar="FLEETGATE_ADMIN",
    metavar="HOST:PORT",
    help="Address of the admin API: health, metrics and JSON.",
)
@click.option(
    "--admin-name",
    "admin_names",
    multiple=True,
    envvar="FLEETGATE_ADMIN_NAMES",
    metavar="NAME",
    help="Host name of the admin API, besides localhost and IP addresses.",
)
@click.option(
    "--admin-token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FLEETGATE_ADMIN_TOKEN_FILE",
    metavar="FILE",
    help="File with the token of the admin API, see docs/admin-api.md; default: admin-token in"
    " --state-dir, created at the first start.",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_state_dir,
    envvar="FLEETGATE_STATE_DIR",
    metavar="DIR",
    help="Directory of the last snapshot and the control socket; no other user may write to it. Default:"
    " /var/lib/fleetgate for root, else $XDG_STATE_HOME/fleetgate or ~/.local/state/fleetgate.",
)
@click.option(
    "--address",
    default=lambda: socket.gethostname().lower(),
    envvar="FLEETGATE_ADDRESS",
    metavar="HOST",
    help="IP address or name of the gateway, written to statuses; default: the host name.",
)
@click.option(
    "--listen",
    "listen_address",
    callback=parse_ip_address,
    default="",
    envvar="FLEETGATE_LISTEN",
    metavar="IP",
    help="Address of this machine that the listeners are bound to; default: all, IPv4 and IPv6.",
)
@click.option(
    "--namespace",
    default=own_namespace,
    envvar="FLEETGATE_NAMESPACE",
    metavar="NAMESPACE",
    help="Namespace on the Fleet that has the Lease of the leader election, and the Secrets that register"
    " members; no tenant may write to it. Default: the pod's own, outside a pod: default.",
)
@click.option(
    "--access-log",
    default="-",
    show_default=True,
    envvar="FLEETGATE_ACCESS_LOG",
    metavar="PATH|-|off",
    help="File of the access log, JSON lines; - is standard output. SIGUSR1 reopens the file.",
)
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    envvar="FLEETGATE_GRACE",
    metavar="S",
    help="Seconds that requests in flight may take when the gateway stops.",
)
@click.option(
    "--write-shares",
    is_flag=True,
    envvar="FLEETGATE_WRITE_SHARES",
    help="Annotate Ingresses while clusters do not get their shares; needs the right to patch Ingresses.",
)
@gateway_options
@click.option(
    "--allow-loopback-endpoints",
    is_flag=True,
    envvar="FLEETGATE_ALLOW_LOOPBACK_ENDPOINTS",
    help="Let endpoints be on this machine, as in the demo.",
)
def command(
    fleet_kubeconfig: Path | None,
    members: dict[str, Path],
    workers: int,
    admin: tuple[str, int],
    admin_names: tuple[str, ...],
    admin_token_file: Path | None,
    state_dir: Path,
    address: str,
    listen_address: str,
    namespace: str,
    access_log: str,
    grace_s: float,
    limits: "Limits",
    trusted_proxies: tuple[str, ...],
    write_shares: bool,
    host_ownership: str,
    cross_namespace: str,
    allow_loopback_endpoints: bool,
) -> None:
    signals.prepare()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have private keys in it
    from controlplane.gateway import run
    from controlplane.gateway.settings import Settings

    settings = Settings(
        state_dir=state_dir,
        workers=workers,
        fleet_kubeconfig=fleet_kubeconfig,
        members=members,
        admin_host=admin[0],
        admin_port=admin[1],
        admin_names=admin_names,
        admin_token_file=admin_token_file,
        address=address,
        listen_address=listen_address,
        namespace=namespace,
        access_log=access_log,
        allow_loopback_endpoints=allow_loopback_endpoints,
        grace_s=grace_s,
        limits=limits,
        trusted_proxies=trusted_proxies,
        write_shares=write_shares,
        tenancy=tenancy(host_ownership, cross_namespace),
    )
    try:
        run.run(settings)
    except run.AlreadyTaken as error:
        raise Unavailable(str(error)) from error
    except run.CannotStart as error:
        raise Failure(str(error)) from error
