"""The commands of the README, run one after the other as they stand there, on a demo of its own ports."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import ROOT, RunningDemo, running_demo, until

pytestmark = pytest.mark.xdist_group("demo")

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
RUN_ELSEWHERE = {
    "make demo\n": "the demo fixture starts the same command",
    "make test\nmake check\n": "this is make test; .ci/run calls both",
}
MARK = "== block "


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningDemo]:
    with running_demo(tmp_path, workers=1) as running:
        yield running


def test_every_block_is_accounted_for() -> None:
    assert set(RUN_ELSEWHERE) < set(BLOCKS)
    assert len(BLOCKS) >= 8


def test_the_blocks_in_their_order_work_and_leave_the_demo_as_it_was(fresh: RunningDemo) -> None:
    before = objects(fresh)
    blocks = [block for block in BLOCKS if block not in RUN_ELSEWHERE]
    script = "set -eo pipefail\n" + "".join(
        f"echo '{MARK}{number}'\n{here(block, fresh)}\n" for number, block in enumerate(blocks)
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=240,
        env={
            **os.environ, "HOME": str(fresh.directory), "FLEETGATE_ADMIN": f"127.0.0.1:{fresh.admin_port}",
        }, check=False,
    )  # fmt: skip
    _, *said = done.stdout.split(MARK)
    assert done.returncode == 0, f"block {len(said) - 1}: {blocks[len(said) - 1]}\n{done.stderr}"
    assert len(said) == len(blocks)
    for block, text in zip(blocks, said, strict=True):
        assert len(text.splitlines()) > 1, f"nothing printed by {block}"
    assert "FAILED" not in done.stdout
    assert "ClusterReturned" in done.stdout
    assert "FG0404" in said[next(i for i, block in enumerate(blocks) if "cluster-1=30" in block)]
    until(lambda: objects(fresh) == before, "the objects as they were", within=30)
    until(lambda: fresh.tally("/svc1", 100) == {"cluster1": 20, "cluster2": 80}, "20/80 again", within=30)


def here(block: str, demo: RunningDemo) -> str:
    """Return a block with the ports and the directory of this demo."""
    for there, mine in (
        ("8001", str(demo.port)),
        ("8002", str(demo.mse_port)),
        ("8443", str(demo.https_port)),
        ("9901", str(demo.admin_port)),
        (".fleetgate/demo", str(demo.directory)),
        (".venv/bin/fleetgate", f"{sys.executable} -m controlplane.cli.main"),
    ):
        block = block.replace(there, mine)
    return block


def objects(demo: RunningDemo) -> dict[str, Any]:
    """Return what users have written: annotations and spec of everything that the README touches."""
    found: dict[str, Any] = {}
    for cluster, kinds in (("fleet", "ingress"), ("cluster-1", "deployment"), ("cluster-2", "deployment")):
        listed = json.loads(demo.kubectl(cluster, "-n", "web-demo", "get", kinds, "-o", "json"))
        for item in listed["items"]:
            metadata = item["metadata"]
            name = f"{cluster} {item['kind']} {metadata['name']}"
            found[name] = (metadata.get("annotations"), item["spec"])
    return found


def test_the_banner_names_what_the_readme_uses(demo: RunningDemo) -> None:
    for word in ("fleet.kubeconfig", "cluster-2.kubeconfig", "stage: gray", "fleetgate_requests_total"):
        assert word in demo.banner
