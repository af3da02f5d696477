"""The controllers of an embedded cluster, as one coroutine that talks to its API server over HTTP."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

import httpx

from controlplane.embedded.workloads import apiclient
from controlplane.embedded.workloads.apiclient import ApiFailure, Object, WorkloadClient
from controlplane.embedded.workloads.deployments import DeploymentController
from controlplane.embedded.workloads.mirror import Mirror, owner
from controlplane.embedded.workloads.pods import Node, NodeAgent
from controlplane.embedded.workloads.slices import SliceController

log = logging.getLogger(__name__)

RESTART_ANNOTATION = "fleetgate.io/demo-restart"
"""Annotation of a Deployment: "never" keeps the death of its pods from the API server, for drills."""

RETRY_S = 0.05


class Controllers:
    """Makes pods out of deployments, and endpoint slices out of pods."""

    def __init__(self, client: WorkloadClient, cluster: str, pod_host: str | None) -> None:
        self._wake_deployments, self._wake_slices = asyncio.Event(), asyncio.Event()
        self._deployments = Mirror(client, apiclient.DEPLOYMENTS, self._wake_deployments.set)
        self._sets = Mirror(client, apiclient.REPLICA_SETS, self._wake_deployments.set)
        self._services = Mirror(client, apiclient.SERVICES, self._wake_slices.set)
        self._slices = Mirror(client, apiclient.ENDPOINT_SLICES, self._wake_slices.set)
        self._pods = Mirror(client, apiclient.PODS, self._pods_changed)
        self._node = Node(cluster, client, self._pods, pod_host, self._is_silent)
        self._agent = NodeAgent(self._node)
        self._client = client

    async def run(self) -> None:
        """Work until cancelled; then all pod processes are ended."""
        mirrors = (self._deployments, self._sets, self._services, self._slices, self._pods)
        workload = DeploymentController(
            self._client, self._deployments, self._sets, self._pods, self._node.name
        )
        endpoints = SliceController(self._client, self._services, self._pods, self._slices)
        try:
            async with asyncio.TaskGroup() as group:
                for mirror in mirrors:
                    group.create_task(mirror.run())
                await asyncio.gather(*(mirror.synced.wait() for mirror in mirrors))
                self._agent.sync()
                group.create_task(_repeat(self._wake_deployments, workload.reconcile))
                group.create_task(_repeat(self._wake_slices, endpoints.reconcile))
        finally:
            await self._agent.close()

    def _pods_changed(self) -> None:
        self._wake_deployments.set()
        self._wake_slices.set()
        if self._pods.synced.is_set():
            self._agent.sync()

    def _is_silent(self, pod: Object) -> bool:
        """Say whether the deployment of a pod asks that its death be kept from the API server."""
        item: Object = pod
        for mirror in (self._sets, self._deployments):
            reference = owner(item)
            if reference is None:
                return False
            found = mirror.objects.get((item["metadata"]["namespace"], reference["name"]))
            if found is None:
                return False
            item = found
        return bool((item["metadata"].get("annotations") or {}).get(RESTART_ANNOTATION) == "never")


async def _repeat(wake: asyncio.Event, reconcile: Callable[[], Awaitable[bool]]) -> None:
    """Call `reconcile` after every change, and again until it succeeds."""
    while True:
        await wake.wait()
        wake.clear()
        try:
            succeeded = await reconcile()
        except (ApiFailure, httpx.TransportError) as error:
            log.debug("%s", error)
            succeeded = False
        if not succeeded:
            await asyncio.sleep(RETRY_S)
            wake.set()


async def run_controller(
    url: str,
    token: str,
    *,
    cluster: str,
    pod_host: str | None = None,
    ca_pem: bytes | None = None,
) -> None:
    """Run the controllers of the API server at `url` until cancelled.

    `cluster` is its name: the pods' node and their x-cluster header. With `pod_host`, a name or
    address that others can reach, all pods listen there on free ports; without it each has a
    loopback address of its own. `ca_pem`: the CA of the server's certificate, None for the system's
    authorities. While the API server cannot be reached the controllers wait, and raise nothing.
    """
    tls = ssl.create_default_context(cadata=ca_pem.decode("ascii")) if ca_pem is not None else None
    client = WorkloadClient(url, token, tls)
    try:
        await Controllers(client, cluster, pod_host).run()
    finally:
        await client.close()
