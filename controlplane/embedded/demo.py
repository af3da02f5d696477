"""The processes of the demo: three API servers, two nodes, one gateway, each on its own.

They are separate so that any of them can be killed and the rest goes on, as in a real fleet: an API
server that dies takes no pod with it, and the gateway is started again as a Deployment would.
"""

import asyncio
import base64
import ctypes
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import field

from controlplane.embedded.certificate import self_signed
from controlplane.embedded.kubeconfig import write_private
from controlplane.system import children, signals, statedir

CLUSTERS: Final = ("cluster-1", "cluster-2")
MANIFESTS: Final = Path(__file__).parent / "deploy"
TUTORIAL_PORTS: Final = re.compile(r"\b(?:800[12]|8443)\b")
"""Ports in the manifests: of the AlbConfig's listener, the MseIngressConfig's, and the HTTPS listener."""
HOST: Final = "alb.ingress.alibaba.com"
"""Host of the Ingresses of the AlbConfigs, and of the certificate."""
_SECRET: Final = "web-demo-tls"

START_S: Final = 30.0
STOP_S: Final = 8.0
RESTART_S: Final = 1.0
_POLL_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


class DemoError(Exception):
    """The demo cannot go on; the message says why on one line."""


class DemoOptions(msgspec.Struct, frozen=True):
    port: int
    mse_port: int
    https_port: int
    admin_port: int
    workers: int
    directory: Path
    gateway: tuple[str, ...] = ()  # options of `fleetgate run` besides

    def kubeconfig(self, name: str) -> Path:
        return self.directory / f"{name}.kubeconfig"

    @property
    def authority(self) -> Path:
        """The certificate that clients of the HTTPS listener have to trust."""
        return self.directory / "ca.crt"

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


class Child(msgspec.Struct):
    name: str
    process: asyncio.subprocess.Process
    log: Path


class Demo(msgspec.Struct):
    """Starts and stops the processes of the demo; `say` gets one line for the user per event."""

    options: DemoOptions
    say: Callable[[str], None]
    children: dict[str, Child] = field(default_factory=dict)
    _watchers: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    async def start(self) -> None:
        """Start all processes. Raises DemoError."""
        options = self.options
        statedir.own(options.directory)
        self._write_manifests()
        for name in ("fleet", *CLUSTERS):
            options.kubeconfig(name).unlink(missing_ok=True)
            applied = [MANIFESTS / "crds"] if name == "fleet" else []
            applied.append(options.directory / "manifests" / name)
            await self._spawn(
                f"{name} API server",
                "controlplane.embedded",
                *("--name", name),
                *("--kubeconfig", str(options.kubeconfig(name))),
                *(word for path in applied for word in ("--apply", str(path))),
            )
        await self._appear([options.kubeconfig(name) for name in ("fleet", *CLUSTERS)])
        for name in CLUSTERS:
            await self._spawn(
                f"{name} node",
                "controlplane.embedded.workloads",
                *("--cluster", name),
                *("--kubeconfig", str(options.kubeconfig(name))),
            )
        await self._start_gateway()

    async def stop(self) -> None:
        """End all processes, the gateway first so that it can finish its requests."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        gateway = self.children.pop("gateway", None)
        if gateway is not None:
            await _end([gateway])
        await _end(list(self.children.values()))

    def reopen_logs(self) -> None:
        """Have the gateway open its access log anew."""
        gateway = self.children.get("gateway")
        if gateway is not None and gateway.process.returncode is None:
            gateway.process.send_signal(signal.SIGUSR1)

    async def _start_gateway(self) -> None:
        options = self.options
        members = (f"{name}={options.kubeconfig(name)}" for name in CLUSTERS)
        await self._spawn(
            "gateway",
            "controlplane.cli.main",
            *("run", "--fleet-kubeconfig", str(options.kubeconfig("fleet"))),
            *(word for member in members for word in ("--member", member)),
            *("--workers", str(options.workers), "--admin", f"127.0.0.1:{options.admin_port}"),
            *("--state-dir", str(options.directory / "state"), "--address", "127.0.0.1"),
            *("--access-log", str(options.directory / "access.log")),
            *("--grace", "3", "--allow-loopback-endpoints", "--write-shares", *options.gateway),
        )

    async def _spawn(self, name: str, module: str, *arguments: str) -> None:
        log = self.options.log(name.replace(" ", "-").lower())
        with log.open("ab") as file, signals.held_for_child():
            process = await asyncio.create_subprocess_exec(
                *children.python(module), *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file, env=children.environment(),
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
        child = self.children[name] = Child(name, process, log)
        self._watchers.append(asyncio.create_task(self._watch(child)))

    async def _watch(self, child: Child) -> None:
        code = await child.process.wait()
        if self._stopping:
            return
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if child.name != "gateway":
            self.say(f"{child.name} (process {child.process.pid}) ended: {how}. The rest goes on without it.")
            del self.children[child.name]
            return
        self.say(f"gateway (process {child.process.pid}) ended: {how}. Starting it again.")
        await asyncio.sleep(RESTART_S)
        await self._start_gateway()

    async def _appear(self, paths: list[Path]) -> None:
        """Wait for the files that the API servers write once they serve."""
        deadline = time.monotonic() + START_S
        while not all(path.exists() for path in paths):
            if len(self.children) < len(paths) or time.monotonic() > deadline:
                raise DemoError(self.why("an API server did not start"))
            await asyncio.sleep(_POLL_S)

    def why(self, what: str) -> str:
        """Return `what` with the last line that the processes wrote about it."""
        lines = [
            text.splitlines()[-1]
            for log in sorted(self.options.directory.glob("*.log"))
            if log.name != "access.log" and (text := log.read_text(errors="replace").strip())
        ]
        return f"{what}; logs are in {self.options.directory}" + (f"; last: {lines[-1]}" if lines else "")

    def _write_manifests(self) -> None:
        """Copy the demo's manifests, with the chosen ports for the tutorials'."""
        options = self.options
        ports = {"8001": str(options.port), "8002": str(options.mse_port), "8443": str(options.https_port)}
        for source in sorted(
            path for each in ("demo", "https") for path in (MANIFESTS / each).glob("*/*.yaml")
        ):
            target = options.directory / "manifests" / source.parent.name / source.name
            statedir.own(target.parent)
            target.write_text(TUTORIAL_PORTS.sub(lambda found: ports[found[0]], source.read_text()))
        certificate, key = self_signed("fleetgate demo", (HOST,))
        options.authority.write_bytes(certificate)
        data = {
            name: base64.b64encode(value).decode()
            for name, value in (("tls.crt", certificate), ("tls.key", key))
        }
        metadata = {"namespace": "web-demo", "name": _SECRET}
        secret = {
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata,
            "data": data,
        }  # fmt: skip
        write_private(
            options.directory / "manifests/fleet/60-certificate.json", msgspec.json.encode(secret).decode()
        )


def _end_with_parent() -> None:
    # A demo that is killed leaves nothing behind: its processes get SIGTERM from the kernel
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _end(children: list[Child]) -> None:
    for child in children:
        if child.process.returncode is None:
            child.process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await asyncio.gather(*(child.process.wait() for child in children))
    except TimeoutError:
        for child in children:
            if child.process.returncode is None:
                os.killpg(child.process.pid, signal.SIGKILL)
        await asyncio.gather(*(child.process.wait() for child in children))
