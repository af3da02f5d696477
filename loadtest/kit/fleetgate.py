"""fleetgate workers, with this program as their control plane."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from msgspec.structs import replace

from controlplane.system import children
from loadtest.kit.processes import START_S, Started
from loadtest.kit.programs import Missing
from loadtest.kit.site import GRAY, HOST, IDLE_TIMEOUT_S, PREFIX, WEIGHTS, Site
from proxy.model import snapshot as model
from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.channel import (
    Ack,
    Apply,
    Drain,
    Ejections,
    EndpointsChanged,
    FromWorker,
    Nack,
    Report,
    StatsJoiner,
    ToWorker,
    UseCertificates,
    encode,
    from_worker_framer,
)
from proxy.model.conditions import HeaderCondition
from proxy.model.statistics import Stats
from proxy.model.tls import Certificate, HostTls, ListenerTls

PROGRAM = ("-m", "proxy.worker")
POLL_S = 0.1
ANSWER_S = 60.0
"""Time for an answer of a worker: a hundred thousand routes take a few seconds on a busy machine."""
SERVICE = "web-demo/service1:80"
SOURCE = model.Source("Ingress", "web-demo", "web-demo")
_ABOUT = """
import json, platform, sys
import proxy.worker
modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "proxy"]
ours = [module.__file__ for module in modules if getattr(module, "__file__", None)]
compiled = sum(name.endswith(".so") for name in ours)
print(json.dumps([proxy.__version__, platform.python_version(), compiled, len(ours)]))
"""


@dataclass(frozen=True, slots=True)
class Fleetgate:
    """The installation of fleetgate in the environment of a Python interpreter."""

    name: str
    python: str
    differs: tuple[str, ...] = ()

    def version(self) -> str:
        version, python, compiled, modules = json.loads(_output(self, _ABOUT))
        kind = f"{compiled} of {modules} modules compiled" if compiled else "pure Python"
        return f"{version} ({kind}, CPython {python})"

    def start(self, site: Site, core: int) -> "Worker":
        worker = Worker(self, site, core, 0)
        certificate = _certificate(site)
        if certificate is not None:
            worker.use(certificate)
        worker.apply(encode(Apply(snapshot(site))))
        worker.process.wait_for_port(site.port)
        return worker

    def command(self, *arguments: str) -> list[str]:
        return [self.python, "-P", *arguments]

    def environment(self) -> dict[str, str]:
        """Return variables for an interpreter that uses its own packages: our PYTHONPATH is for ours."""
        environment = children.environment()
        path = os.environ.get("PYTHONPATH")
        if path and self.python == sys.executable:  # a worker runs in another directory
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
        return environment


def parse(text: str) -> Fleetgate:
    """Return the build of `--fleetgate NAME=PYTHON`. Raises Missing when it cannot run."""
    name, _, python = text.partition("=")
    if not name or not python:
        raise Missing(f"--fleetgate {text!r}: write NAME=PYTHON, the name to print and an interpreter's path")
    found = Fleetgate(name, os.path.abspath(python))
    try:
        _output(found, _ABOUT)
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise Missing(f"{name}: {python} has no fleetgate that can start: {said}") from error
    return found


def _output(peer: Fleetgate, program: str) -> str:
    return subprocess.run(
        peer.command("-c", program), env=peer.environment(), capture_output=True, text=True, check=True
    ).stdout


class Worker:
    """A started worker and the connection that it takes orders from."""

    def __init__(
        self, peer: Fleetgate, site: Site, core: int, number: int, program: tuple[str, ...] = PROGRAM
    ) -> None:
        """`program` stands before the worker's options."""
        path = site.directory / f"control-{number}.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen(1)
            server.settimeout(POLL_S)
            command = peer.command(
                *program,
                *("--id", str(number), "--socket", str(path), "--generation", "compare"),
                *("--access-log", str(site.access_log)),
            )
            self.process = Started(command, site.directory, (core,), environment=peer.environment())
            self._control = self._accept(server)
        self._control.settimeout(ANSWER_S)
        self._framer = from_worker_framer()
        self._joiner = StatsJoiner()
        self._pending: list[FromWorker] = []
        self._next()  # its Hello

    def _accept(self, server: socket.socket) -> socket.socket:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and not self.process.has_ended:
            try:
                return server.accept()[0]
            except TimeoutError:
                pass
        raise self.process.failed("no connection to its control plane")

    @property
    def pid(self) -> int:
        return self.process.pid

    def apply(self, order: bytes) -> None:
        """Send an encoded Apply; return when it is in force. Raises StartError when it is refused."""
        self._control.sendall(order)
        answer = self._next()
        if isinstance(answer, Nack):
            raise self.process.failed(f"the snapshot is refused: {answer.reason}")
        assert isinstance(answer, Ack), answer

    def use(self, certificate: Certificate) -> None:
        self._send(UseCertificates((certificate,)))

    def change_endpoints(self, services: tuple[model.Service, ...]) -> None:
        """Return when the endpoints are in use."""
        self._send(EndpointsChanged(1, services))
        answer = self._next()
        assert isinstance(answer, Ack), answer

    def stats(self) -> Stats:
        self._send(Report())
        answer = self._next()
        assert isinstance(answer, Stats), answer
        return answer

    def stop(self) -> None:
        try:
            self._send(Drain(grace_s=0.0))
        except OSError:
            pass  # the worker has ended already
        self.process.stop()
        self._control.close()

    def _send(self, order: ToWorker) -> None:
        self._control.sendall(encode(order))

    def _next(self) -> FromWorker:
        while not self._pending:
            try:
                data = self._control.recv(1 << 20)
            except OSError as error:
                raise self.process.failed(f"it does not answer: {error}") from error
            if not data:
                raise self.process.failed("it closed its control connection")
            whole = map(self._joiner.whole, self._framer.feed(data))
            # Findings about endpoints are for other workers, and there are none
            self._pending += [m for m in whole if m is not None and not isinstance(m, Ejections)]
        return self._pending.pop(0)


def snapshot(site: Site) -> model.Snapshot:
    """Return the routes as fleetgate's data plane gets them."""
    weights = tuple(Share(cluster, weight) for cluster, weight in WEIGHTS.items())
    gray = (Share("cluster-1", 0), Share("cluster-2", 100))
    name, value = GRAY
    return model.Snapshot(
        version=1,
        listeners=(listener(site),),
        routes=(
            _route("gray", site, gray, (HeaderCondition(name, (value,)),)),
            _route("weights", site, weights),
        ),
        services=(service(site, SERVICE),),
        clusters=tuple(model.Cluster(cluster) for cluster in WEIGHTS),
    )


def listener(site: Site) -> model.Listener:
    plain = model.Listener(site.port, SOURCE, address="127.0.0.1", idle_timeout_s=IDLE_TIMEOUT_S)
    certificate = _certificate(site)
    if certificate is None:
        return plain  # takes HTTP/2 by prior knowledge too
    # The load names no host in its handshakes
    return replace(plain, tls=ListenerTls(http2=site.http2, hosts=(HostTls("", certificate.id),)))


def _certificate(site: Site) -> Certificate | None:
    if site.tls is None:
        return None
    return Certificate("site", site.tls.certificate.read_bytes(), site.tls.key.read_bytes())


def service(site: Site, name: str) -> model.Service:
    endpoints = tuple(
        model.ClusterEndpoints(cluster, tuple(model.Endpoint("127.0.0.1", port) for port in pair))
        for cluster, pair in site.clusters.items()
    )
    return model.Service(name, endpoints)


def _route(
    name: str, site: Site, shares: tuple[Share, ...], conditions: tuple[HeaderCondition, ...] = ()
) -> model.Route:
    action = Forward((Backend(SERVICE),), Split(SplitMode.WEIGHTS, shares))
    path = model.PathMatch(model.PathKind.PREFIX, PREFIX)
    return model.Route(name, SOURCE, (site.port,), HOST, path, action, conditions)
