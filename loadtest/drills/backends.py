"""The endpoints of a drill: a process each, which takes modes, is killed, stopped, started again."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from loadtest.drills.origin import Mode
from loadtest.drills.site import Site
from loadtest.kit.processes import Started, module, own_environment

ANSWER_S = 5.0


class Backends:
    """The processes of the endpoints, as a context manager. Raises StartError."""

    def __init__(self, site: Site, core: int, directory: Path, enter: dict[str, list[str]]) -> None:
        """`enter`: for a cluster in a network of its own, the command that runs a command in there."""
        self._site = site
        self._core = core
        self._directory = directory
        self._enter = enter
        self._processes: dict[int, Started] = {}
        self._orders = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._orders.bind(str(directory / "orders"))  # a name that is found in another network, too
        self._orders.settimeout(ANSWER_S)

    def __enter__(self) -> "Backends":
        with ExitStack() as stack:
            stack.callback(self.stop)
            for cluster in self._site.clusters:
                self.start(cluster)
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, cluster: str) -> None:
        """Return when all endpoints of the cluster accept connections."""
        for address, port in self._site.endpoints(cluster):
            if port in self._processes:
                self._processes[port].stop()
            self._control(port).unlink(missing_ok=True)
            command = module("loadtest.drills.origin", address, str(port))
            self._processes[port] = Started(
                [*self._enter.get(cluster, []), *command, str(self._directory)],
                self._directory,
                (self._core,),
                environment=own_environment(),
            )
        for address, port in self._site.endpoints(cluster):
            self._processes[port].wait_for_port(port, address)

    def tell(self, cluster: str, mode: Mode) -> None:
        """Return when all endpoints of the cluster are in that mode. Raises OSError."""
        for port in self._site.clusters[cluster]:
            self._orders.sendto(mode.encode(), str(self._control(port)))
        for _ in self._site.clusters[cluster]:
            self._orders.recv(100)

    def signal(self, cluster: str, number: signal.Signals) -> None:
        for port in self._site.clusters[cluster]:
            os.kill(self._processes[port].pid, number)

    def log(self, cluster: str) -> list[str]:
        """Return the lines of all endpoints of a cluster."""
        paths = [self._directory / f"{port}.log" for port in self._site.clusters[cluster]]
        return [line for path in paths for line in path.read_text().splitlines()]

    def stop(self) -> None:
        """End all processes. May be called again."""
        for process in self._processes.values():
            if not process.has_ended:
                os.kill(process.pid, signal.SIGCONT)
            process.stop()
        self._orders.close()

    def _control(self, port: int) -> Path:
        return self._directory / f"{port}.control"
