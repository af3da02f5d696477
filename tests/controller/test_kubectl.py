"""kubectl on an embedded cluster's workloads."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.controller.conftest import Cluster, until

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


async def kubectl(cluster: Cluster, directory: Path, *arguments: str) -> str:
    config = directory / "kubeconfig"
    config.write_text(cluster.server.kubeconfig())
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", str(config), "-n", "web-demo", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory)},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_rollout_restart_and_status_and_undo(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.deploy()
    done = await kubectl(cluster, tmp_path, "rollout", "status", "deployment/web-demo", "--timeout=20s")
    assert done.endswith('deployment "web-demo" successfully rolled out\n')
    before = {pod["metadata"]["name"] for pod in await cluster.pods()}
    await kubectl(cluster, tmp_path, "rollout", "restart", "deployment/web-demo")
    await kubectl(cluster, tmp_path, "rollout", "status", "deployment/web-demo", "--timeout=20s")

    async def replaced() -> bool:
        return not before & {pod["metadata"]["name"] for pod in await cluster.pods()}

    await until(replaced, "new pods")
    assert "REVISION" in await kubectl(cluster, tmp_path, "rollout", "history", "deployment/web-demo")
    await kubectl(cluster, tmp_path, "rollout", "undo", "deployment/web-demo")
    await kubectl(cluster, tmp_path, "rollout", "status", "deployment/web-demo", "--timeout=20s")


async def test_get_shows_ready_pods_with_address_and_node(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    lines = (await kubectl(cluster, tmp_path, "get", "pods", "-o", "wide")).splitlines()
    assert lines[0].split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    for line in lines[1:]:
        words = line.split()
        assert words[1:4] == ["1/1", "Running", "0"]
        assert words[5].startswith("127.")
        assert words[6] == "cluster-test-node"
    await kubectl(cluster, tmp_path, "rollout", "status", "deployment/web-demo", "--timeout=20s")
    row = (await kubectl(cluster, tmp_path, "get", "deployment", "web-demo")).splitlines()[1]
    assert row.split()[:4] == ["web-demo", "2/2", "2", "2"]


async def test_scale_and_describe(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.deploy()
    await cluster.until_ready(2)
    await kubectl(cluster, tmp_path, "scale", "deployment/web-demo", "--replicas=1")
    await cluster.until_ready(1)
    described = await kubectl(cluster, tmp_path, "describe", "deployment", "web-demo")
    assert "1 desired | 1 updated | 1 total | 1 available | 0 unavailable" in described
    assert "NewReplicaSet:" in described
