"""The whole gateway before a case: three API servers, the control plane, its workers."""

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from loadtest.drills.mixed import manifests
from loadtest.drills.mixed.cases import Case
from loadtest.drills.mixed.manifests import Address, Json
from loadtest.drills.mixed.schedule import Planned
from loadtest.drills.site import CLUSTERS, SURVIVOR
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.processes import PROJECT, START_S, Started
from loadtest.kit.programs import Missing
from loadtest.kit.site import HOST
from loadtest.ports import free_port

FLEET: Final = "fleet"
CRDS: Final = PROJECT / "deploy" / "crds"
_SLICES: Final = f"/apis/discovery.k8s.io/v1/namespaces/{manifests.NAMESPACE}/endpointslices"
_POLL_S: Final = 0.05


class Gateway:
    """The gateway, as a context manager; serves on `port` when it is entered. Raises StartError."""

    def __init__(
        self, build: Fleetgate, case: Case, port: int, directory: Path, proxy_core: int, load_core: int
    ) -> None:
        self._build = build
        self._case = case
        self._port = port
        self._directory = directory
        self._cores = (proxy_core, load_core)
        self._stack = ExitStack()
        self.admin = httpx.Client(trust_env=False, timeout=5.0)

    def start(self, endpoints: Mapping[str, list[Address]]) -> None:
        objects = {FLEET: manifests.fleet(self._case, self._port, endpoints)}
        objects |= {cluster: manifests.member(endpoints[cluster]) for cluster in CLUSTERS}
        for name, items in objects.items():
            self._start_api(name, items)
        if self._case.is_named:
            self.name(endpoints[SURVIVOR][0][0])
        self._start_gateway()

    def name(self, address: str) -> None:
        """Let the host name have this address, in the hosts file that only the gateway sees."""
        self._hosts.write_text(f"127.0.0.1 localhost\n{address} {manifests.NAME}\n")

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.admin.close()

    def get(self, path: str) -> Any:
        """Return an answer of the admin API. Raises httpx.HTTPError."""
        return self.admin.get(path).raise_for_status().json()

    def explain(self, request: Planned) -> Any:
        asked = {"url": f"http://{HOST}:{self._port}{request.path}", "headers": request.headers}
        token = (self._directory / "state" / "admin-token").read_text().strip()
        sent = {"Authorization": f"Bearer {token}"}
        return self.admin.post("/api/v1/explain", json=asked, headers=sent).raise_for_status().json()

    def events(self) -> list[Json]:
        """Return the Events of the Fleet that report a failure or the end of a failure."""
        with self._client(FLEET) as client:
            found: list[Json] = client.get("/api/v1/events").raise_for_status().json()["items"]
        return [each for each in found if each.get("reason", "").startswith(("Cluster", "NoCluster"))]

    def replace_pods(self, cluster: str, endpoints: list[Address]) -> None:
        """Let a cluster have exactly these pods. Raises httpx.HTTPError."""
        with self._client(cluster) as client:
            present = client.get(_SLICES).raise_for_status().json()["items"]
            for each in present:
                client.delete(f"{_SLICES}/{each['metadata']['name']}").raise_for_status()
            for where in endpoints:
                client.post(_SLICES, json=manifests.endpoint_slice(where)).raise_for_status()

    def _kubeconfig(self, name: str) -> Path:
        return self._directory / f"{name}.kubeconfig"

    def _client(self, name: str) -> httpx.Client:
        """Return a client of one API server, as its kubeconfig says."""
        config = yaml.safe_load(self._kubeconfig(name).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        return httpx.Client(
            base_url=cluster["server"],
            headers={"Authorization": f"Bearer {user['token']}"},
            verify=False,  # its certificate is its own, on loopback
            trust_env=False,
            timeout=5.0,
        )

    def _start_api(self, name: str, items: list[Json]) -> None:
        place = self._directory / name
        place.mkdir()
        (place / "objects.json").write_text(json.dumps({"kind": "List", "items": items}))
        applied = [CRDS] if name == FLEET else []
        arguments = ["-m", "controlplane.embedded", "--name", name]
        arguments += ["--kubeconfig", str(self._kubeconfig(name))]
        for path in (*applied, place / "objects.json"):
            arguments += ["--apply", str(path)]
        process = self._run(arguments, place, self._cores[1])
        deadline = time.monotonic() + START_S
        while not self._kubeconfig(name).exists():
            if process.has_ended or time.monotonic() > deadline:
                raise process.failed("no API server")
            time.sleep(_POLL_S)

    def _start_gateway(self) -> None:
        admin = f"127.0.0.1:{free_port()}"
        arguments = ["-m", "controlplane.cli.main", "run"]
        arguments += ["--fleet-kubeconfig", str(self._kubeconfig(FLEET))]
        for cluster in CLUSTERS:
            arguments += ["--member", f"{cluster}={self._kubeconfig(cluster)}"]
        arguments += ["--workers", str(self._case.workers), "--admin", admin, "--address", "127.0.0.1"]
        arguments += ["--state-dir", str(self._directory / "state"), "--grace", "1"]
        arguments += ["--access-log", str(self._directory / "access.log"), "--allow-loopback-endpoints"]
        process = self._run(arguments, self._directory, self._cores[0], self._enter())
        self.admin.base_url = httpx.URL(f"http://{admin}")
        self._wait_until_ready(process)

    def _enter(self) -> list[str]:
        """Return the command that runs a command where the hosts file is ours. Raises Missing."""
        if not self._case.is_named:
            return []
        unshare = shutil.which("unshare")
        if os.geteuid() or unshare is None:
            raise Missing("a hosts file of its own needs root and the program unshare (Debian: util-linux)")
        mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return [unshare, "--mount", "sh", "-c", mount, str(self._hosts)]

    @property
    def _hosts(self) -> Path:
        return self._directory / "hosts"

    def _run(self, arguments: list[str], place: Path, core: int, enter: Sequence[str] = ()) -> Started:
        command = [*enter, *self._build.command(*arguments)]
        process = Started(command, place, (core,), environment=self._build.environment())
        self._stack.callback(process.stop)
        return process

    def _wait_until_ready(self, process: Started) -> None:
        """Return when every cluster is synced and has its endpoints."""
        deadline = time.monotonic() + START_S
        wanted = self._case.pods * len(CLUSTERS)
        while time.monotonic() < deadline and not process.has_ended:
            try:
                if self.admin.get("/readyz").status_code == 200:
                    found = self.get("/api/v1/endpoints")["items"]
                    if len(found) == wanted and self.get("/api/v1/routes")["items"]:
                        return
            except httpx.HTTPError:
                pass
            time.sleep(_POLL_S)
        raise process.failed("the gateway did not get ready")
