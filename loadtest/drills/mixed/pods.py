"""The endpoints of a case: a process each, so that a busy endpoint holds up no other."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.drills.mixed.manifests import Address
from loadtest.drills.mixed.origin import Model
from loadtest.drills.site import CLUSTERS, LOOPBACK
from loadtest.kit.processes import Started, module, own_environment
from loadtest.ports import free_port

ELSEWHERE: Final = "127.0.0.2"
QUIET_S: Final = 0.5
DRAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Executed:
    """A request whose execution began at an endpoint. An execution that has not ended has `ended` 0."""

    began: float
    ended: float
    method: str
    identity: str
    arrival: str

    @property
    def port(self) -> int:
        return int(self.arrival.partition("-")[0])


class Pods:
    """The processes of the pods, as a context manager. Raises StartError."""

    def __init__(self, model: Model, directory: Path, core: int) -> None:
        self._model = model
        self._directory = directory
        self._core = core
        self._stack = ExitStack()
        self._logs: list[Path] = []
        self._processes: list[Started] = []
        self.clusters: dict[str, list[Address]] = {cluster: [] for cluster in CLUSTERS}
        self.cluster_of: dict[int, str] = {}

    def __enter__(self) -> "Pods":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, cluster: str, count: int) -> list[Address]:
        """Start pods of a cluster; return their addresses."""
        return [self._start(cluster, LOOPBACK, free_port()) for _ in range(count)]

    def add_elsewhere(self, cluster: str) -> str:
        """Start a pod with the port of the cluster's first one; return its address."""
        _, port = self.clusters[cluster][0]
        address, _ = self._start(cluster, ELSEWHERE, port)
        return address

    def _start(self, cluster: str, address: str, port: int) -> Address:
        log = self._directory / f"{address}-{port}.log"
        command = module("loadtest.drills.mixed.origin", self._model, address, str(port), str(log))
        process = Started(command, self._directory, (self._core,), environment=own_environment())
        self._stack.callback(process.stop)
        self._processes.append(process)
        process.wait_for_port(port, address)
        self._logs.append(log)
        self.cluster_of[port] = cluster
        self.clusters[cluster].append((address, port))
        return address, port

    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def longest_pause_s(self) -> float:
        """Return the longest time that a pod had no core, which the machine adds, in seconds."""
        return max(longest_pause_s(log.read_text()) for log in self._logs)

    def drained(self) -> list[Executed]:
        """Return all executions, when those that wait in the endpoints' queues have ended, too."""
        deadline = time.monotonic() + DRAIN_S
        sizes: list[int] = []
        since = time.monotonic()
        while time.monotonic() < deadline:
            now = [log.stat().st_size for log in self._logs]
            found = [each for log in self._logs for each in parse(log.read_text())]
            if now != sizes or not all(each.ended for each in found):
                sizes, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                break
            time.sleep(0.1)
        return [each for log in self._logs for each in parse(log.read_text())]


def longest_pause_s(text: str) -> float:
    """Return for how long the process of a log did not run at most, 0 where no pause was noticed."""
    lines = (line.split(" ") for line in text.splitlines())
    return max((float(line[2]) for line in lines if line[1] == "pause"), default=0.0)


def parse(text: str) -> Iterator[Executed]:
    """Yield the executions that a log has, without those of probes."""
    began: dict[str, tuple[float, str, str]] = {}
    ended: dict[str, float] = {}
    for line in text.splitlines():
        at, what, arrival, method, identity = line.split(" ")
        if identity == "-":
            continue
        if what == "begin":
            began[arrival] = (float(at), method, identity)
        else:
            ended[arrival] = float(at)
    for arrival, (at_s, method, identity) in began.items():
        yield Executed(at_s, ended.get(arrival, 0.0), method, identity, arrival)
