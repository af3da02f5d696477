"""A cluster dies under load, the rules change under load, the API servers die: no request fails."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.demo import HOST, RunningDemo, running_demo, until
from tests.support.load import Load, Result
from tests.support.requests import request
from tests.support.wire import RawClient

pytestmark = pytest.mark.xdist_group("demo")

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


async def test_a_cluster_that_is_held_out_by_hand_comes_back_when_it_is_let(demo: RunningDemo) -> None:
    scale = ("-n", "web-demo", "scale", "deployment/web-demo")
    annotate = ("-n", "web-demo", "annotate", "--overwrite", "ingress/web-demo")
    await kubectl(demo, "fleet", *annotate, "fleetgate.io/failback=manual")
    await asyncio.to_thread(until, lambda: failback_of(demo) == "manual", "the annotation is in force")
    async with load(demo).running() as result:
        await asyncio.sleep(0.5)
        await kubectl(demo, "cluster-2", *scale, "--replicas=0")
        await only_cluster_1_answers(result)
        await kubectl(demo, "cluster-2", *scale, "--replicas=2")
        await asyncio.to_thread(until, lambda: healthy(demo) >= 2, "cluster-2 could serve")
        await asyncio.sleep(0.5)
    assert_nothing_failed(result)
    assert await asyncio.to_thread(demo.tally, "/svc1", 50) == {"cluster1": 50}
    assert reasons(demo)["cluster-2"] == "held_out"
    said = await asyncio.to_thread(failback, demo, "web-demo/web-demo", "--cluster", "cluster-2")
    assert said.startswith("cluster-2 is let back for web-demo/")
    await asyncio.to_thread(wait_for_shares, demo)
    assert await asyncio.to_thread(failback, demo, "web-demo/web-demo") == (
        "no cluster is held out of web-demo/web-demo\n"
    )
    await kubectl(demo, "fleet", "-n", "web-demo", "annotate", "ingress/web-demo", "fleetgate.io/failback-")


def failback(demo: RunningDemo, *arguments: str) -> str:
    command = (sys.executable, "-m", "controlplane.cli.main", "failback")
    admin = ("--admin", f"127.0.0.1:{demo.admin_port}")
    done = subprocess.run([*command, *arguments, *admin], capture_output=True, text=True, check=True)
    return done.stdout


def route(demo: RunningDemo) -> dict[str, Any]:
    """The route of /svc1, as the admin API shows it."""
    found: list[dict[str, Any]] = httpx.get(f"{api(demo)}/routes", trust_env=False).json()["items"]
    return next(each for each in found if each["path"]["value"] == "/svc1" and each["host"] == HOST)


def failback_of(demo: RunningDemo) -> object:
    return route(demo)["failback"]


def reasons(demo: RunningDemo) -> dict[str, str]:
    return {each["cluster"]: each["reason"] for each in route(demo)["clusters"]}


def healthy(demo: RunningDemo) -> int:
    """Return how many endpoints of /svc1 serve in cluster-2."""
    service = route(demo)["backends"][0]["service"]
    wanted = {"service": service, "cluster": "cluster-2"}
    found = httpx.get(f"{api(demo)}/endpoints", params=wanted, trust_env=False).json()["items"]
    return sum(each["state"] == "healthy" for each in found)


def api(demo: RunningDemo) -> str:
    return f"http://127.0.0.1:{demo.admin_port}/api/v1"


async def test_a_hundred_changes_of_the_rules(demo: RunningDemo) -> None:
    weight = "alb.ingress.kubernetes.io/cluster-weight.cluster-"
    path = "/apis/networking.k8s.io/v1/namespaces/web-demo/ingresses/web-demo"
    content = {"content-type": "application/merge-patch+json"}
    async with demo.api("fleet") as fleet, load(demo).running() as result:
        for turn in [*range(99), 20]:
            weights = {f"{weight}1": str(turn), f"{weight}2": str(100 - turn)}
            change = json.dumps({"metadata": {"annotations": weights}})
            (await fleet.patch(path, content=change, headers=content)).raise_for_status()
            await asyncio.sleep(0.05)  # faster ones would be applied together
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
    trusting = ssl.create_default_context(cafile=demo.directory / "ca.crt")
    client = await RawClient.connect(demo.https_port, tls=trusting, server_name=HOST)
    await client.send(request("/svc1", host=HOST))
    assert (await client.response())[0] == 200  # with the certificate on disk
    await client.close()


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
