"""One case before one proxy, from its start to its end."""

import asyncio
import gc
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop

from loadtest.drills.mixed.account import Result, account
from loadtest.drills.mixed.cases import Case
from loadtest.drills.mixed.client import Client
from loadtest.drills.mixed.gateway import Gateway
from loadtest.drills.mixed.peers import Peer
from loadtest.drills.mixed.pods import Pods
from loadtest.drills.mixed.schedule import planned
from loadtest.drills.mixed.witness import Witness
from loadtest.drills.site import CLUSTERS, SURVIVOR
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.processes import on_cores
from loadtest.ports import free_port

LEAD_S: Final = 0.3
SETTLE_S: Final = 1.5
"""Pause after the last answer: the control plane hears of its workers once a second."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run. The machine causes `late_s`, the longest delay of a request's start after its due time, and
    `paused_s`, the longest time that an endpoint's process had no core, which looks like a stopped process.
    """

    case: str
    peer: str
    run: int
    at: str
    result: Result
    late_s: float
    paused_s: float


def before_fleetgate(
    case: Case, build: Fleetgate, number: int, directory: Path, proxy_core: int, load_core: int
) -> Cell:
    """Start all processes, send the requests, stop them. Raises StartError, OSError, httpx.HTTPError."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    directory.mkdir()
    port = free_port()
    with ExitStack() as stack:
        pods = stack.enter_context(Pods(case.model, directory, load_core))
        for cluster in CLUSTERS:
            pods.add(cluster, case.pods)
        gateway = stack.enter_context(Gateway(build, case, port, directory, proxy_core, load_core))
        gateway.start({cluster: list(pods.clusters[cluster]) for cluster in CLUSTERS})
        with Witness(gateway) as witness, on_cores(load_core):
            client = uvloop.run(_send(case, port, Changes(case, gateway, pods)))
            executed = pods.drained()
            seen = witness.conclude(planned(case)[0])
    result = account(case, client.asked, executed, pods.cluster_of, seen)
    return Cell(case.name, build.name, number, at, result, client.worst_late_s, pods.longest_pause_s())


def before_peer(
    case: Case, peer: Peer, number: int, directory: Path, proxy_core: int, load_core: int
) -> Cell:
    """Do the same before another proxy, without questions to its admin API. Raises StartError, OSError."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    directory.mkdir()
    port = free_port()
    with ExitStack() as stack:
        pods = stack.enter_context(Pods(case.model, directory, load_core))
        for cluster in CLUSTERS:
            pods.add(cluster, case.pods)
        process = peer.start(case, pods.clusters, port, directory, proxy_core)
        stack.callback(process.stop)
        with on_cores(load_core):
            client = uvloop.run(_send(case, port, None))
            executed = pods.drained()
    result = account(case, client.asked, executed, pods.cluster_of, None)
    return Cell(case.name, peer.name, number, at, result, client.worst_late_s, pods.longest_pause_s())


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of the pods of cluster-1 while a case runs."""

    case: Case
    gateway: Gateway
    pods: Pods

    async def make(self, start: float) -> None:
        case = self.case
        if case.leaves_at_s is None or case.returns_at_s is None:
            return
        await asyncio.sleep(start + case.leaves_at_s - monotonic())
        if case.is_named:
            self.gateway.name(await asyncio.to_thread(self.pods.add_elsewhere, SURVIVOR))
            return
        await asyncio.to_thread(self.gateway.replace_pods, SURVIVOR, [])
        new = await asyncio.to_thread(self.pods.add, SURVIVOR, case.pods)
        await asyncio.sleep(start + case.returns_at_s - monotonic())
        await asyncio.to_thread(self.gateway.replace_pods, SURVIVOR, new)


async def _send(case: Case, port: int, changes: Changes | None) -> Client:
    client = Client(port)
    start = monotonic() + LEAD_S
    gc.collect()
    gc.disable()  # the pauses would be taken for the proxy's
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.run(planned(case), start, case.longest_s))
            if changes is not None:
                group.create_task(changes.make(start))
        await asyncio.sleep(SETTLE_S)
    finally:
        gc.enable()
    return client
