"""Every command of the README, run as it stands there, on a demo of its own port."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.demo import ROOT, RunningDemo, until

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
RUN_ELSEWHERE = {
    "make demo\n": "the demo fixture starts the same command",
    "make test\nmake check\n": "this is make test; .ci/run calls both",
}


def test_every_block_is_accounted_for() -> None:
    assert set(RUN_ELSEWHERE) < set(BLOCKS)
    assert len(BLOCKS) >= 8


@pytest.mark.parametrize("block", [b for b in BLOCKS if b not in RUN_ELSEWHERE])
def test_readme_block(demo: RunningDemo, block: str) -> None:
    if "$H" in block and "export H" not in block:
        block = BLOCKS[1].splitlines()[0] + "\n" + block
    if "$D" in block and "export" not in block:
        block = BLOCKS[1].splitlines()[0] + "\n" + block
    for there, here in (
        ("8001", str(demo.port)),
        ("8002", str(demo.mse_port)),
        ("9901", str(demo.admin_port)),
        (".fleetgate/demo", str(demo.directory)),
        (".venv/bin/fleetgate", f"{sys.executable} -m controlplane.cli.main"),
    ):
        block = block.replace(there, here)
    script = "set -eo pipefail\n" + block
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={
            **os.environ, "HOME": str(demo.directory), "FLEETGATE_ADMIN": f"127.0.0.1:{demo.admin_port}",
        }, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "FAILED" not in done.stdout
    undo(demo, block)


def undo(demo: RunningDemo, block: str) -> None:
    """Put the demo back to what the next block, and the next test, expects."""
    if "cluster-weight.cluster-1=30" in block:
        demo.kubectl(
            "fleet", "-n", "web-demo", "annotate", "--overwrite", "ingress/web-demo",
            "alb.ingress.kubernetes.io/cluster-weight.cluster-1=20",
        )  # fmt: skip
    if "scale" in block:
        until(lambda: demo.tally("/svc1", 100) == {"cluster1": 20, "cluster2": 80}, "20/80 again", within=30)


def test_the_banner_names_what_the_readme_uses(demo: RunningDemo) -> None:
    for word in ("fleet.kubeconfig", "cluster-2.kubeconfig", "stage: gray", "fleetgate_requests_total"):
        assert word in demo.banner
