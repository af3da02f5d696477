"""`fleetgate apiserver` is an API server with a kubeconfig, until it is told to stop."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.kube.client import open_client
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


async def test_the_api_server_is_reached_by_its_kubeconfig_and_ends_on_sigterm(tmp_path: Path) -> None:
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


@pytest.fixture
def without_embedded(tmp_path: Path) -> Path:
    """The packages as the image `runtime` has them."""
    (tmp_path / "proxy").symlink_to(ROOT / "proxy")
    package = tmp_path / "controlplane"
    package.mkdir()
    for path in (ROOT / "controlplane").iterdir():
        if path.name != "embedded":
            (package / path.name).symlink_to(path)
    return tmp_path


def fleetgate(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(packages)!r}); from controlplane.cli.main import main; main()"
    )
    command = (sys.executable, "-c", code, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [("demo",), ("demo", "--help"), ("apiserver", "--name", "fleet")])
def test_an_image_without_the_api_server_says_so_on_one_line(
    without_embedded: Path, arguments: tuple[str, ...]
) -> None:
    done = fleetgate(without_embedded, *arguments)
    assert done.returncode == 3
    assert done.stderr.startswith(f"fleetgate: `{arguments[0]}` needs the embedded API server")
    assert done.stderr.count("\n") == 1


def test_an_image_without_the_api_server_runs_the_gateway(without_embedded: Path) -> None:
    assert "Usage:" in fleetgate(without_embedded, "run", "--help").stdout
    done = fleetgate(without_embedded, "run", "--fleet-kubeconfig", "missing")
    assert done.returncode == 2
    assert done.stderr.startswith("fleetgate: kubeconfig missing: no such file")
