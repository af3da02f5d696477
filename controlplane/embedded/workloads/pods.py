"""The node: runs each pod of the API server as a local web-demo process and reports its status."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx
import msgspec

from controlplane.embedded.workloads import podspec
from controlplane.embedded.workloads.addresses import Placement, place
from controlplane.embedded.workloads.apiclient import PODS, ApiFailure, Object, WorkloadClient
from controlplane.embedded.workloads.mirror import Mirror
from controlplane.embedded.workloads.podstatus import ContainerRun, pod_status
from controlplane.embedded.workloads.probe import answers
from controlplane.embedded.workloads.process import Command, PodProcess, StartFailed, start

log = logging.getLogger(__name__)

BACK_OFF_S = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Pauses before each restart of a container, in seconds, as kubelet makes them."""

SIGTERM_S = 2.0
"""Least time for a pod to end after SIGTERM, even where preStop used all up; kubelet gives the same."""

RETRY_S = 0.5

MAX_PODS = 110
"""Pods per node; kubelet's default. Further ones stay pending."""


class Node(msgspec.Struct, frozen=True):
    """The node that all pods of a cluster share. `host`: their common address, None for one each."""

    cluster: str
    client: WorkloadClient
    pods: Mirror
    host: str | None
    silent: Callable[[Object], bool]  # pods whose death the API server must not learn of

    @property
    def name(self) -> str:
        return f"{self.cluster}-node"


class PodWorker:
    """Runs one pod until it is deleted."""

    def __init__(self, node: Node, pod: Object) -> None:
        self._node = node
        self._pod = pod
        self._key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._run = ContainerRun()
        self._placement: Placement | None = None
        self._process: PodProcess | None = None

    async def live(self) -> None:
        """Start the process and restart it when it is found dead, until cancelled."""
        if podspec.FINALIZER not in self._finalizers():
            await self._write({"metadata": {"finalizers": [*self._finalizers(), podspec.FINALIZER]}})
        while True:
            try:
                await self._start()
                await self._until_dead()
                code = self._process.exit_code if self._process else 1
            except StartFailed as error:
                log.warning("pod %s/%s: %s", *self._key, error)
                code = 1
            await self._ended(code)
            await asyncio.sleep(BACK_OFF_S[min(self._run.restarts, len(BACK_OFF_S) - 1)])
            self._run.restarts += 1

    async def end(self) -> None:
        """Go on serving for the preStop time, then SIGTERM, then remove the pod."""
        pod = self._current()
        if self._process is not None and self._process.alive:
            pre_stop = podspec.pre_stop_s(pod)
            await asyncio.sleep(pre_stop)
            self._process.terminate()
            self._run.ready = False
            await self._report()
            await self._process.end(max(SIGTERM_S, podspec.grace_s(pod) - pre_stop))
        await self._remove()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def reap(self) -> None:
        if self._process is not None:
            await self._process.end(1.0)

    def _current(self) -> Object:
        return self._node.pods.objects.get(self._key, self._pod)

    def _finalizers(self) -> list[str]:
        return list(self._current()["metadata"].get("finalizers") or ())

    async def _start(self) -> None:
        ports = [int(port["containerPort"]) for port in podspec.container_ports(self._pod)]
        if self._placement is None:
            self._placement = place(self._node.cluster, ports, self._node.host)
        values = podspec.environment(self._pod)
        command = Command(
            pod=self._key[1],
            cluster=self._node.cluster,
            env=values.get("ENV_NAME") or self._node.cluster.replace("-", ""),
            config=values.get("CONFIG_TEXT", ""),
        )
        try:
            self._process = await start(command, self._placement)
        except StartFailed:
            self._placement = None  # another process may have taken the place meanwhile
            raise
        if list(self._process.ports) != ports:
            await self._announce_ports(ports, self._process.ports)
        self._run.address = self._placement.address
        self._run.started_at = podspec.now()
        self._run.ready = True
        await self._report()

    async def _announce_ports(self, declared: list[int], real: tuple[int, ...]) -> None:
        text = ",".join(f"{a}={b}" for a, b in zip(declared, real, strict=True))
        await self._write({"metadata": {"annotations": {podspec.PORTS_ANNOTATION: text}}})

    async def _until_dead(self) -> None:
        """Probe the pod, and return when its process has ended and the probes have noticed.

        The end of the process is on purpose not noticed at once: a node that has lost its power, or
        its network, reports no dead pod either. So for up to failureThreshold probe periods the API server
        goes on listing a dead pod as ready, and a gateway that routes to the pod has to find out alone.
        """
        assert self._process is not None
        assert self._placement is not None
        failures = 0
        while True:
            probe = podspec.readiness_probe(self._pod)
            await asyncio.sleep(probe.period_s)
            if self._node.silent(self._current()):
                continue
            if await answers(self._placement.address, self._process.ports[0], probe):
                failures = 0
                await self._set_ready(True)
                continue
            failures += 1
            if failures >= probe.failures:
                await self._set_ready(False)
                if not self._process.alive:
                    return

    async def _set_ready(self, ready: bool) -> None:
        if self._run.ready != ready:
            self._run.ready = ready
            await self._report()

    async def _ended(self, code: int) -> None:
        run = self._run
        run.last_exit_code, run.last_started_at, run.last_finished_at = code, run.started_at, podspec.now()
        run.started_at, run.ready = "", False
        run.waiting = "CrashLoopBackOff"
        await self._report()

    async def _report(self) -> None:
        await self._write({"status": pod_status(self._current(), self._run)}, "status")

    async def _write(self, body: Object, subresource: str = "") -> None:
        """Patch the pod, unless it is gone or a successor has its name."""
        body = {**body, "metadata": {**body.get("metadata", {}), "uid": self._pod["metadata"]["uid"]}}
        written = await self._insist(lambda: self._node.client.patch(PODS, *self._key, body, subresource))
        if written is not None:
            self._node.pods.put(written)

    async def _remove(self) -> None:
        """Let the API server forget the pod."""
        kept = [name for name in self._finalizers() if name != podspec.FINALIZER]
        uid = self._pod["metadata"]["uid"]
        meta = {"uid": uid, "finalizers": kept or None}
        client = self._node.client
        await self._insist(lambda: client.patch(PODS, *self._key, {"metadata": meta}))
        await self._insist(lambda: client.delete(PODS, *self._key, uid, grace_s=0))
        self._node.pods.drop(self._pod)

    async def _insist(self, request: Callable[[], Awaitable[Object]]) -> Object | None:
        """Make a request until the API server answers; None when it refuses."""
        while True:
            try:
                return await request()
            except ApiFailure as failure:
                if failure.status not in (404, 409):
                    log.warning("pod %s/%s: %s", *self._key, failure)
                if failure.status < 500:
                    return None
            except httpx.TransportError as error:
                log.debug("pod %s/%s: %s", *self._key, error)
            await asyncio.sleep(RETRY_S)


class NodeAgent:
    """Gives every pod of the API server a worker, and ends them all with itself."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._living: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def sync(self) -> None:
        """Start and end workers as the pods of the API server say."""
        if self._closed:
            return
        present: set[str] = set()
        for pod in list(self._node.pods.objects.values()):
            uid = pod["metadata"]["uid"]
            present.add(uid)
            if uid not in self._workers and len(self._workers) < MAX_PODS:
                self._admit(uid, pod)
            if podspec.is_terminating(pod):
                self._dismiss(uid)
        for uid in self._workers.keys() - present:  # deleted by force
            self._dismiss(uid)

    def _admit(self, uid: str, pod: Object) -> None:
        worker = self._workers[uid] = PodWorker(self._node, pod)
        if not podspec.is_terminating(pod):
            self._living[uid] = asyncio.create_task(worker.live())

    def _dismiss(self, uid: str) -> None:
        if uid not in self._workers or uid in self._ending:
            return
        task = self._ending[uid] = asyncio.create_task(self._end(uid))
        task.add_done_callback(lambda _: self._forget(uid))

    async def _end(self, uid: str) -> None:
        living = self._living.pop(uid, None)
        if living is not None:
            living.cancel()
            await asyncio.wait([living])
        await self._workers[uid].end()

    def _forget(self, uid: str) -> None:
        self._ending.pop(uid, None)
        self._workers.pop(uid, None)
        self.sync()  # there is room for another pod

    async def close(self) -> None:
        """End all pods at once, without telling the API server, which ends too."""
        self._closed = True
        tasks = [*self._living.values(), *self._ending.values()]
        workers = list(self._workers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in workers:
            worker.kill()
        await asyncio.gather(*(worker.reap() for worker in workers))
