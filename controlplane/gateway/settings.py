"""The settings of `fleetgate run`."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import field

from controlplane.system import children
from controlplane.translate.model import Tenancy
from proxy.model.limits import Limits

DEFAULT_ADMIN_HOST = "127.0.0.1"
DEFAULT_ADMIN_PORT = 9901
DEFAULT_GRACE_S = 30.0


class Settings(msgspec.Struct, frozen=True):
    """`fleet_kubeconfig` None is the service account of the pod the gateway runs in.

    `address` is published in statuses, listeners are bound to `listen_address` ("" is every address of the
    machine), `namespace` holds the Lease of the leader election and the Secrets that register members.
    `admin_token_file` None is a token in the state directory. `access_log` is a path, "-" for standard
    output, or "off". `grace_s` is the time in seconds that requests in flight may take at the end.
    `write_shares`: Ingresses are annotated while clusters do not get their shares. `worker_argv` is for
    tests: the command to start instead of a worker.
    """

    state_dir: Path
    workers: int
    fleet_kubeconfig: Path | None = None
    members: Mapping[str, Path] = field(default_factory=dict)
    admin_host: str = DEFAULT_ADMIN_HOST
    admin_port: int = DEFAULT_ADMIN_PORT
    admin_names: tuple[str, ...] = ()
    admin_token_file: Path | None = None
    address: str = ""
    listen_address: str = ""
    namespace: str = "default"
    access_log: str = "-"
    allow_loopback_endpoints: bool = False
    grace_s: float = DEFAULT_GRACE_S
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: tuple[str, ...] = ()
    write_shares: bool = False
    tenancy: Tenancy = field(default_factory=Tenancy)
    worker_argv: tuple[str, ...] = children.python("proxy.worker")
