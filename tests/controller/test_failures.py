"""Pods that die or hang without the API server being told."""

import asyncio
import os
import signal
from typing import Any

from controlplane.embedded.controller import RESTART_ANNOTATION
from controlplane.embedded.workloads.apiclient import DEPLOYMENTS
from tests.controller.conftest import NAMESPACE, Cluster, deployment, kill, pids, until


async def conditions(cluster: Cluster) -> dict[str, dict[str, Any]]:
    return {each["targetRef"]["name"]: each["conditions"] for each in await cluster.endpoints()}


async def test_a_killed_pod_stays_listed_until_the_probes_notice_and_is_restarted(cluster: Cluster) -> None:
    await cluster.deploy(deployment(failureThreshold=2))
    await cluster.until_ready(2)
    victim = (await cluster.pods())[0]["metadata"]["name"]
    (pid,) = pids(victim)
    kill(pid)
    await asyncio.sleep(0.5)
    assert (await conditions(cluster))[victim]["ready"]  # nobody has told the API server

    async def restarted() -> bool:
        (status,) = [
            pod["status"]["containerStatuses"][0]
            for pod in await cluster.pods()
            if pod["metadata"]["name"] == victim
        ]
        return bool(status["restartCount"] == 1 and status["ready"])

    await until(restarted, "a restarted container")
    await cluster.until_ready(2)
    (after,) = pids(victim)
    assert after != pid


async def test_a_hanging_pod_becomes_unready_and_returns_without_a_restart(cluster: Cluster) -> None:
    await cluster.deploy(deployment(replicas=1, failureThreshold=1))
    await cluster.until_ready(1)
    ((name, _),) = (await conditions(cluster)).items()
    (pid,) = pids(name)
    os.kill(pid, signal.SIGSTOP)

    async def unready() -> bool:
        return not (await conditions(cluster))[name]["ready"]

    await until(unready, "a pod that is not ready")
    os.kill(pid, signal.SIGCONT)
    await cluster.until_ready(1)
    assert pids(name) == [pid]


async def test_with_the_annotation_the_api_server_never_learns_of_the_death(cluster: Cluster) -> None:
    await cluster.deploy(deployment(failureThreshold=1))
    await cluster.until_ready(2)
    annotation = {"metadata": {"annotations": {RESTART_ANNOTATION: "never"}}}
    await cluster.client.patch(DEPLOYMENTS, NAMESPACE, "web-demo", annotation)
    for pid in pids("web-demo-"):
        kill(pid)
    await asyncio.sleep(3.0)  # three probe periods
    assert await cluster.ready(2)
    assert not pids("web-demo-")
    await cluster.scale(0)

    async def gone() -> bool:
        return not await cluster.pods()

    await until(gone, "no pods")


async def test_a_pod_that_is_stopped_is_still_deleted(cluster: Cluster) -> None:
    template = deployment(replicas=1)
    template["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    await cluster.deploy(template)
    await cluster.until_ready(1)
    (pid,) = pids("web-demo-")
    os.kill(pid, signal.SIGSTOP)
    await cluster.scale(0)

    async def gone() -> bool:
        return not await cluster.pods()

    await until(gone, "no pods", deadline_s=20)
    assert not pids("web-demo-")
