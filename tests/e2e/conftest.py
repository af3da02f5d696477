"""Demos shared by the tests of this folder; every test leaves the objects as it found them.

Each is a dozen processes: files that use the same one are a group, see tests/conftest.py.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import RunningDemo, running_demo
from tests.support.seeds import Seeds

NEEDS_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(NEEDS_KUBECTL)


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """One worker: shares are exact."""
    with running_demo(tmp_path_factory.mktemp("demo"), workers=1) as running:
        yield running


@pytest.fixture(scope="package")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeds]:
    """A demo with both gateways of the documents, and no rule yet: those of the demo are gone.

    The MseIngressConfig names its port, because it would listen on port 80, and has its clusters.
    """
    with running_demo(tmp_path_factory.mktemp("seeds"), workers=1) as running:
        seeds = Seeds(running)
        seeds.kubectl("-n", "web-demo", "delete", "ingress", "--all")
        seeds.kubectl("delete", "albconfig,mseingressconfig,ingressclass", "--all")
        seeds.apply("alb-gateway")
        seeds.apply("mse-gateway")
        seeds.kubectl(
            "annotate", "mseingressconfig/ackone-gateway",
            "mse.alibabacloud.com/remote-clusters=cluster-1,cluster-2",
            f'fleetgate.io/listeners=[{{"HTTP": {running.mse_port}}}]',
        )  # fmt: skip
        yield seeds
