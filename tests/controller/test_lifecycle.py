"""Pods as real processes: start, scale, roll, delete."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from controlplane.embedded.workloads.apiclient import DEPLOYMENTS, PODS, SERVICES
from tests.controller.conftest import NAMESPACE, Cluster, deployment, pids, service, until


async def test_a_deployment_gets_pods_that_answer_with_their_environment(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    addresses = {each["addresses"][0] for each in await cluster.endpoints()}
    assert len(addresses) == 2
    for address in addresses:
        assert address.startswith("127.")
        assert await cluster.answers(address) == "This is env cluster1 ! Config file is \n"
    (found,) = await cluster.slices()
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "service1"


async def test_the_status_of_a_deployment_says_when_it_is_complete(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)

    async def complete() -> bool:
        status = (await cluster.deployment())["status"]
        return bool(status.get("availableReplicas") == status.get("updatedReplicas") == 2)

    await until(complete, "a complete deployment")
    found = await cluster.deployment()
    status = found["status"]
    assert status["observedGeneration"] == found["metadata"]["generation"]
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


async def test_an_idle_cluster_is_not_written_to(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)

    async def version() -> str:
        return str((await cluster.client.list(PODS))["metadata"]["resourceVersion"])

    before = ""

    async def still() -> bool:
        nonlocal before
        last, before = before, await version()
        await asyncio.sleep(0.3)
        return last == before

    await until(still, "no more writes")
    await asyncio.sleep(1.5)  # longer than the probe period
    assert await version() == before


async def test_a_pod_scaled_away_is_withdrawn_first_and_serves_on_for_a_second(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    address = (await cluster.endpoints())[0]["addresses"][0]
    await cluster.scale(0)
    scaled = time.monotonic()

    async def withdrawn() -> bool:
        endpoints = await cluster.endpoints()
        return all(not each["conditions"]["ready"] for each in endpoints)

    await until(withdrawn, "withdrawn endpoints", deadline_s=1.0)
    terminating = {"ready": False, "serving": True, "terminating": True}
    assert [each["conditions"] for each in await cluster.endpoints()] == [terminating] * 2
    while time.monotonic() - scaled < 0.9:
        assert await cluster.answers(address)
        await asyncio.sleep(0.05)

    async def gone() -> bool:
        return not await cluster.pods() and not await cluster.endpoints()

    await until(gone, "no pods")
    assert not pids("web-demo-")
    assert len(await cluster.slices()) == 1


async def test_scaled_back_the_endpoints_return(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    await cluster.scale(0)
    await cluster.scale(3)

    async def three() -> bool:
        return sum(bool(each["conditions"]["ready"]) for each in await cluster.endpoints()) == 3

    await until(three, "three ready endpoints")


async def test_a_new_template_rolls_the_pods_without_a_gap(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    template = deployment(env="cluster9")["spec"]["template"]
    await cluster.client.patch(DEPLOYMENTS, NAMESPACE, "web-demo", {"spec": {"template": template}})

    async def rolled() -> bool:
        endpoints = await cluster.endpoints()
        ready = [each for each in endpoints if each["conditions"]["ready"]]
        assert len(ready) >= 2
        answers = [await cluster.answers(each["addresses"][0]) for each in ready]
        return len(endpoints) == 2 and all("cluster9" in answer for answer in answers)

    await until(rolled, "new pods only")
    status: dict[str, Any] = {}

    async def complete() -> bool:
        nonlocal status
        status = (await cluster.deployment())["status"]
        return bool(status["replicas"] == status["updatedReplicas"] == status.get("availableReplicas"))

    await until(complete, "a complete rollout")
    annotations = (await cluster.deployment())["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "2"


async def test_a_deleted_pod_is_replaced(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    victim = (await cluster.pods())[0]["metadata"]
    await cluster.client.delete(PODS, NAMESPACE, victim["name"], victim["uid"])

    async def replaced() -> bool:
        names = {pod["metadata"]["name"] for pod in await cluster.pods()}
        return victim["name"] not in names and len(names) == 2

    await until(replaced, "a new pod")
    await cluster.until_ready(2)


async def test_a_deleted_deployment_takes_its_pods_with_it(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    meta = (await cluster.deployment())["metadata"]
    await cluster.client.delete(DEPLOYMENTS, NAMESPACE, "web-demo", meta["uid"])

    async def gone() -> bool:
        return not await cluster.pods()

    await until(gone, "no pods")
    assert not pids("web-demo-")


async def test_the_slices_of_a_deleted_service_are_deleted(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    meta = (await cluster.client.get(SERVICES, NAMESPACE, "service1"))["metadata"]
    await cluster.client.delete(SERVICES, NAMESPACE, "service1", meta["uid"])

    async def gone() -> bool:
        return not await cluster.slices()

    await until(gone, "no slices")


async def test_a_service_without_pods_has_one_empty_slice(cluster: Cluster) -> None:
    await cluster.client.create(SERVICES, NAMESPACE, service("nobody"))

    async def made() -> bool:
        return len(await cluster.slices()) == 1

    await until(made, "a slice")
    assert not await cluster.endpoints()


async def test_with_a_host_all_pods_share_it_and_have_ports_of_their_own(
    start_cluster: Callable[..., Awaitable[Cluster]],
) -> None:
    cluster = await start_cluster(pod_host="127.0.0.1")
    await cluster.deploy()
    await cluster.until_ready(2)
    slices = await cluster.slices()
    ports = {item["ports"][0]["port"] for item in slices}
    assert len(slices) == len(ports) == 2
    assert {each["addresses"][0] for each in await cluster.endpoints()} == {"127.0.0.1"}
    for port in ports:
        assert "cluster1" in await cluster.answers("127.0.0.1", port)


async def test_all_pods_end_with_the_controller(start_cluster: Callable[..., Awaitable[Cluster]]) -> None:
    cluster = await start_cluster("cluster-ending")
    await cluster.deploy(deployment("ending"))

    async def running() -> bool:
        return len([pod for pod in await cluster.pods() if pod["status"]["phase"] == "Running"]) == 2

    await until(running, "two running pods")
    assert len(pids("ending-")) == 2
    others = [task for task in asyncio.all_tasks() if "run_controller" in repr(task.get_coro())]
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    assert not pids("ending-")
