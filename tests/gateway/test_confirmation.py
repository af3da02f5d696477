"""What statuses and Events say of rules is said when the workers serve them."""

import asyncio
import os
import signal
from pathlib import Path

from loadtest.ports import free_port
from tests.support.clusters import Clusters, Json, clusters, gateway_on, ready
from tests.support.dataplane import FAKE_WORKER, kill
from tests.support.waiting import until


def address(rig: Clusters, name: str) -> Json:
    status = rig.fleet.store.objects["ingresses"][f"shop/{name}"].get("status", {})
    found: Json = status.get("loadBalancer", {}).get("ingress")
    return found


def told(rig: Clusters, name: str, reason: str) -> list[str]:
    return [
        event["message"]
        for event in rig.fleet.store.objects["events"].values()
        if event["reason"] == reason and event["involvedObject"]["name"] == name
    ]


async def test_an_ingress_has_an_address_once_every_worker_serves_it(tmp_path: Path) -> None:
    async with clusters(tmp_path, free_port()) as rig, gateway_on(rig, workers=2) as running:
        await ready(running)
        await until(lambda: told(rig, "web", "Synced"))
        pids = [process.pid for process in running.state().processes]
        assert pids[1] is not None
        os.kill(pids[1], signal.SIGSTOP)
        try:
            rig.ingress("late", "/late")
            await until(lambda: sorted(v.applied_version for v in running.state().workers)[1] >= 2)
            await asyncio.sleep(0.5)  # a status is written within a tenth of that
            assert not address(rig, "late")
            assert not told(rig, "late", "Synced")
        finally:
            os.kill(pids[1], signal.SIGCONT)
        await until(lambda: told(rig, "late", "Synced"))
        assert address(rig, "late")


async def test_a_worker_that_is_dead_holds_nothing_up(tmp_path: Path) -> None:
    async with clusters(tmp_path, free_port()) as rig, gateway_on(rig, workers=2) as running:
        await ready(running)
        first, second = (process.pid for process in running.state().processes)
        assert first is not None
        assert second is not None
        os.kill(second, signal.SIGSTOP)
        rig.ingress("late", "/late")
        await until(lambda: sorted(v.applied_version for v in running.state().workers)[1] >= 2)
        kill(second)
        await until(lambda: told(rig, "late", "Synced"))


async def test_rules_that_the_workers_refuse_are_an_error_on_their_ingress(tmp_path: Path) -> None:
    argv = ("env", "FAKEWORKER_NACK=unusable", *FAKE_WORKER)
    async with clusters(tmp_path, free_port()) as rig, gateway_on(rig, worker_argv=argv) as running:
        await until(lambda: told(rig, "web", "Synced"))
        rig.ingress("bad", "/unusable")
        await until(lambda: told(rig, "bad", "RefusedByWorkers"))
        (note,) = told(rig, "bad", "RefusedByWorkers")
        assert "told to refuse it" in note
        assert not address(rig, "bad")
        assert not told(rig, "bad", "Synced")
        assert not told(rig, "web", "RefusedByWorkers")
        # An edit of another Ingress is not served either while these rules are refused, and is not called so.
        rig.ingress("other", "/other")
        await until(lambda: (found := running.state().rejection) and found.version >= 3)
        assert not address(rig, "other")
        rig.ingress("bad", "/usable", generation=2)
        await until(lambda: told(rig, "bad", "Synced") and told(rig, "other", "Synced"))
        assert running.state().rejection is None


async def test_a_snapshot_from_disk_is_called_so_while_newer_rules_are_refused(tmp_path: Path) -> None:
    argv = ("env", "FAKEWORKER_NACK=unusable", *FAKE_WORKER)
    async with clusters(tmp_path, free_port()) as rig:
        async with gateway_on(rig, worker_argv=argv) as running:
            await until(lambda: told(rig, "web", "Synced"))
            assert not running.state().from_disk
        rig.ingress("bad", "/unusable")
        async with gateway_on(rig, worker_argv=argv) as running:
            await until(lambda: running.state().rejection)
            assert running.state().from_disk


async def test_a_gateway_says_nothing_before_any_worker_serves(tmp_path: Path) -> None:
    nothing = ("/bin/sleep", "60")  # takes the arguments of a worker for more seconds, and ends
    async with clusters(tmp_path, free_port()) as rig, gateway_on(rig, worker_argv=nothing) as running:
        await until(lambda: running.state().wanted_version)
        await asyncio.sleep(1.5)  # findings wait for a second
        assert not address(rig, "web")
