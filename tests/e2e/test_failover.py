"""A cluster dies under load, the rules change under load, the API servers die: no request fails."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.demo import HOST, RunningDemo, running_demo, until
from tests.support.load import Load, Result

CLUSTER2 = "This is env cluster2 ! Config file is"


def load(demo: RunningDemo, path: str = "/svc1") -> Load:
    return Load(demo.port, path, HOST, rate=1000, connections=16)


async def kubectl(demo: RunningDemo, cluster: str, *arguments: str) -> str:
    return await asyncio.to_thread(demo.kubectl, cluster, *arguments)


async def only_cluster_1_answers(result: Result) -> None:
    """Wait until a hundred answers in a row come from elsewhere than cluster-2."""
    async with asyncio.timeout(20):
        while True:
            before = Counter(result.answers)
            await asyncio.sleep(0.2)
            came = result.answers - before
            if sum(came.values()) >= 100 and not came[CLUSTER2]:
                return


def assert_nothing_failed(result: Result) -> None:
    assert result.errors == []
    assert all(answer.startswith("This is env cluster") for answer in result.answers), result.answers


def wait_for_shares(demo: RunningDemo) -> None:
    until(lambda: demo.tally("/svc1", 100) == {"cluster1": 20, "cluster2": 80}, "20/80 again", within=30)


async def test_scaling_a_cluster_to_zero(demo: RunningDemo) -> None:
    async with load(demo).running() as result:
        await asyncio.sleep(0.5)
        await kubectl(demo, "cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=0")
        await only_cluster_1_answers(result)
        await kubectl(demo, "cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=2")
        await asyncio.sleep(0.5)
    assert_nothing_failed(result)
    await asyncio.to_thread(wait_for_shares, demo)


async def test_killing_every_pod_of_a_cluster_behind_the_back_of_its_api_server(demo: RunningDemo) -> None:
    """Idempotent requests only: a POST that a pod had read when it died may not be sent again."""
    async with Load(
        demo.port, "/svc1", HOST, rate=1000, connections=16, methods=("GET", "PUT")
    ).running() as result:
        await asyncio.sleep(0.5)
        for pid in demo.pods("cluster2"):
            os.kill(pid, signal.SIGKILL)
        await only_cluster_1_answers(result)
    assert_nothing_failed(result)
    await kubectl(demo, "cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=0")
    await kubectl(demo, "cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=2")
    await asyncio.to_thread(wait_for_shares, demo)


async def test_a_hundred_changes_of_the_rules(demo: RunningDemo) -> None:
    weight = "alb.ingress.kubernetes.io/cluster-weight.cluster-"
    async with load(demo).running() as result:
        for turn in [*range(99), 20]:
            await kubectl(
                demo, "fleet", "-n", "web-demo", "annotate", "--overwrite", "ingress/web-demo",
                f"{weight}1={turn}", f"{weight}2={100 - turn}",
            )  # fmt: skip
    assert_nothing_failed(result)
    await asyncio.to_thread(wait_for_shares, demo)


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[RunningDemo]:
    """Two workers, and nobody minds what is left of it."""
    with running_demo(tmp_path / "demo", workers=2) as running:
        yield running


async def test_every_api_server_dies_and_then_the_gateway_too(own_demo: RunningDemo) -> None:
    demo = own_demo
    answers = await asyncio.to_thread(demo.tally, "/svc1", 500)
    assert abs(answers["cluster1"] - 100) <= 10
    async with load(demo).running() as result:
        for name in ("fleet", "cluster-1", "cluster-2"):
            os.kill(demo.pid(f"{name} API server"), signal.SIGKILL)
        await asyncio.sleep(1)
        os.kill(demo.pid("gateway"), signal.SIGKILL)
        await asyncio.to_thread(until, lambda: is_ready(demo), "the gateway is back, from its snapshot")
        await asyncio.sleep(1)
    assert_nothing_failed(result)
    assert set(await asyncio.to_thread(demo.tally, "/svc1", 20)) == {"cluster1", "cluster2"}


def is_ready(demo: RunningDemo) -> bool:
    try:
        return "fleetgate_worker_up" in demo.metrics()
    except httpx.TransportError:
        return False


async def test_a_demo_that_ends_while_its_gateway_is_dead_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo", workers=1) as demo:
        os.kill(demo.pid("gateway"), signal.SIGKILL)
        assert set(await asyncio.to_thread(demo.tally, "/single", 5)) == {"cluster1"}
    until(lambda: not accepts(demo.port), "the workers have ended with the demo")


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
