"""A data plane of stand-in workers, snapshots for it, and a client that cannot be fooled."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from controlplane.gateway.workers import WorkerPool
from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.snapshot import (
    Cluster,
    ClusterEndpoints,
    Endpoint,
    Listener,
    PathKind,
    PathMatch,
    Route,
    Service,
    Snapshot,
    Source,
)
from tests.support.waiting import until

FAKE_WORKER = (sys.executable, "-m", "tests.support.fakeworker")


def snapshot(
    version: int,
    *ports: int,
    route: str = "shop/web/0/0",
    pods: tuple[str, ...] = ("10.0.0.1",),
    clusters: tuple[str, ...] = ("cluster-1", "cluster-2"),
) -> Snapshot:
    """A snapshot with one route to one service that has the same pods in every cluster."""
    source = Source("Ingress", "shop", "web", 1)
    endpoints = tuple(Endpoint(pod, 8080) for pod in pods)
    split = Split(SplitMode.WEIGHTS, tuple(Share(cluster, 50) for cluster in clusters))
    return Snapshot(
        version=version,
        listeners=tuple(Listener(port, source, address="127.0.0.1") for port in ports),
        routes=(
            Route(
                id=route,
                source=source,
                ports=ports,
                host="shop.example.com",
                path=PathMatch(PathKind.PREFIX, "/"),
                action=Forward((Backend("shop/web:80"),), split),
            ),
        ),
        services=(Service("shop/web:80", tuple(ClusterEndpoints(c, endpoints) for c in clusters)),),
        clusters=tuple(Cluster(cluster) for cluster in clusters),
    )


@asynccontextmanager
async def running(state_dir: Path, workers: int = 2, grace_s: float = 5.0) -> AsyncIterator[WorkerPool]:
    told = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("FAKEWORKER_")]
    argv = ("env", *told, *FAKE_WORKER)  # workers inherit nothing but what they need
    plane = WorkerPool(state_dir, workers, argv, "off", grace_s)
    await plane.start()
    try:
        yield plane
    finally:
        await plane.stop()


async def applied(plane: WorkerPool, version: int, deadline_s: float = 15.0) -> None:
    """Wait until every worker serves the snapshot with this version."""
    await until(
        lambda: (
            [view.applied_version for view in plane.publisher.workers()] == [version] * plane.worker_count
        ),
        deadline_s,
        f"version {version} on all workers",
    )


async def fetch(port: int, deadline_s: float = 10.0) -> tuple[int, int, int]:
    """Return (worker, pid, version) of the worker that answered.

    Raises ConnectionResetError when it died over the request.
    """
    async with asyncio.timeout(deadline_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nhost: shop.example.com\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
        if not answer:
            raise ConnectionResetError("closed without an answer")
        worker, pid, version = answer.rpartition(b"\r\n\r\n")[2].split()
        return int(worker), int(pid), int(version)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
