"""What a running gateway tells on Ingresses while a cluster dies and comes back."""

import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.report import annotation
from controlplane.translate.annotations.effective_shares import KEY
from loadtest.ports import free_port
from tests.support.clusters import Clusters, ask, clusters, gateway_on, ready
from tests.support.waiting import until, until_async

SERVICE = "shop/web:80"
WEIGHTS: dict[str, Any] = {"cluster-weight__cluster-1": "20", "cluster-weight__cluster-2": "80"}


def told(rig: Clusters, reason: str) -> list[dict[str, Any]]:
    return [event for event in rig.fleet.store.objects["events"].values() if event["reason"] == reason]


def annotations(rig: Clusters, name: str = "web") -> dict[str, str]:
    found: dict[str, str] = rig.fleet.store.objects["ingresses"][f"shop/{name}"]["metadata"]["annotations"]
    return found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations are written and removed in a tenth of the time; tests of `due` have the real one."""
    for name in ("SETTLE_S", "PAUSE_S", "LEARN_S", "LOOK_S"):
        monkeypatch.setattr(annotation, name, getattr(annotation, name) / 10)


async def asked_until(port: int, condition: Any, what: str, deadline_s: float = 20) -> None:
    """Ask on and on, for what nobody asks for nobody misses."""

    async def holds() -> bool:
        assert (await ask(port))[0] == 200
        return bool(condition())

    await until_async(holds, deadline_s, what)


async def test_a_cluster_that_dies_is_told_on_the_ingress_and_so_is_its_return(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig, write_shares=True) as running:
        rig.ingress(generation=2, **WEIGHTS)
        await ready(running)
        await until(lambda: running.state().leader)
        await running.refresh()  # what failed before the first report is not known as new
        await asked_until(port, lambda: running.state().translations > 2, "the last of the beginning")
        translations = running.state().translations
        assert KEY not in annotations(rig)
        rig.origins["cluster-2"].stop()
        await asked_until(port, lambda: told(rig, "ClusterFailedOver"), "an Event")
        (event,) = told(rig, "ClusterFailedOver")
        assert event["type"] == "Warning"
        assert event["involvedObject"]["name"] == "web"
        assert event["message"] == (
            "cluster-2 does not get its 80 % of service shop/web:80: the breaker of the cluster is open"
            " (1 of 1 ejected, refused); cluster-1 serves 100 %"
        )
        await asked_until(port, lambda: KEY in annotations(rig), "an annotation")
        assert json.loads(annotations(rig)[KEY]) == {
            SERVICE: {
                "cluster-1": {"configured": 20, "effective": 100},
                "cluster-2": {"configured": 80, "effective": 0, "reason": "breaker_open"},
            }
        }
        assert annotations(rig).keys() > {KEY}  # those of the user are still there
        await rig.origins["cluster-2"].start()
        await asked_until(port, lambda: told(rig, "ClusterReturned"), "the other Event", 30)
        (event,) = told(rig, "ClusterReturned")
        assert event["type"] == "Normal"
        assert event["message"].startswith("cluster-2 gets its 80 % of service shop/web:80 again after ")
        assert event["message"].endswith(" requests served by other clusters, 0 lost")
        await asked_until(port, lambda: KEY not in annotations(rig), "no annotation", 30)
        assert running.state().translations == translations  # our writes are no changes
        assert not [finding for finding in running.state().diagnostics if KEY in finding.field]


async def test_an_annotation_that_a_leader_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        rig.ingress(**WEIGHTS)
        async with gateway_on(rig, write_shares=True) as running:
            await ready(running)
            rig.origins["cluster-2"].stop()
            await asked_until(port, lambda: KEY in annotations(rig), "an annotation", 30)
        assert KEY in annotations(rig)
        await rig.origins["cluster-2"].start()
        async with gateway_on(rig, write_shares=True, state_dir=tmp_path / "another"):
            await until(lambda: KEY not in annotations(rig), 40)


async def test_no_annotation_is_written_on_ingresses_unless_asked_for(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        rig.ingress(generation=2, **WEIGHTS)
        await ready(running)
        await running.refresh()
        rig.origins["cluster-2"].stop()
        await asked_until(port, lambda: told(rig, "ClusterFailedOver"), "an Event")
        patched = rig.fleet.seen("patch ingresses")
        assert all(request.path.endswith("/status") for request in patched)
        assert "shares on Ingresses" not in {task.get_name() for task in running._tasks}
