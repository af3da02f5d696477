"""`fleetgate apiserver` is an API server with a kubeconfig, until it is told to stop."""

import asyncio
import sys
from pathlib import Path

from controlplane.kube.client import open_client
from tests.support.waiting import until


async def test_it_serves_what_its_kubeconfig_says_and_ends_on_sigterm(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "fleet.kubeconfig"
    argv = (sys.executable, "-m", "controlplane.cli.main", "apiserver", "--name", "fleet")
    process = await asyncio.create_subprocess_exec(
        *argv, "--kubeconfig", str(kubeconfig), "--controller", stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await until(kubeconfig.exists, 20)
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        client = await open_client(kubeconfig)
        assert b"gitVersion" in await client.get("/version")
        await client.close()
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_controllers_need_the_kubeconfig_they_use() -> None:
    argv = (sys.executable, "-m", "controlplane.cli.main", "apiserver", "--name", "x", "--controller")
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.startswith(b"fleetgate: --controller needs --kubeconfig FILE")
