"""`fleetgate diff` against a running gateway with real workers, and what is said when there is none."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.gateway.gateway import Gateway
from loadtest.ports import free_port
from tests.cli.asking import Done, admin, fleetgate
from tests.support.clusters import HOST, Clusters, ask, clusters, gateway_on, ready

PREFIX = "alb.ingress.kubernetes.io/"


def manifest(path: str = "/", name: str = "web", **annotations: str) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "annotations": {PREFIX + key.replace("__", "."): value for key, value in annotations.items()},
        },
        "spec": {"ingressClassName": "alb", "rules": [{"host": HOST, "http": {"paths": paths}}]},
    }


@asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[tuple[Clusters, Gateway, str]]:
    async with clusters(tmp_path, free_port()) as rig, gateway_on(rig) as running:
        await ready(running)
        async with admin(running) as address:
            yield rig, running, address


async def diff(address: str, *manifests: dict[str, Any], output: str = "text") -> Done:
    text = yaml.safe_dump_all(manifests)
    return await fleetgate("diff", "-f", "-", "-n", "shop", "--admin", address, "-o", output, stdin=text)


async def test_a_manifest_that_runs_already_is_no_change(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, _, address):
        done = await diff(address, manifest())
        assert (done.code, done.out, done.err) == (0, "no changes: 1 route stays as it is\n", "")


async def test_changes_are_told_with_their_traffic_and_nothing_is_applied(tmp_path: Path) -> None:
    async with serving(tmp_path) as (rig, running, address):
        before = running.state()
        busy = asyncio.create_task(_keep_asking(rig.port))
        weights = {"cluster-weight__cluster-1": "30", "cluster-weight__cluster-2": "70"}
        done = await diff(address, manifest(**weights), manifest("/new", "other"), output="json")
        busy.cancel()
        assert done.code == 1
        document = json.loads(done.out)
        changed = {change["id"]: change for change in document["changes"]}
        assert changed[f"shop/web/{HOST}/"]["change"] == "changed"
        assert changed[f"shop/web/{HOST}/"]["aspects"] == [
            {
                "name": "split",
                "before": "cluster-1, cluster-2 by endpoints",
                "after": "cluster-1 30, cluster-2 70",
            }
        ]
        assert changed[f"shop/web/{HOST}/"]["requestsPerSecond"] > 1
        assert changed[f"shop/other/{HOST}/new"]["change"] == "added"
        assert changed[f"shop/other/{HOST}/new"]["requestsPerSecond"] is None
        after = running.state()
        assert (after.snapshot, after.diagnostics) == (before.snapshot, before.diagnostics)


async def test_text_has_a_sign_for_each_change(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, _, address):
        done = await diff(address, manifest("/shop"), manifest("/new", "other"))
        assert (done.code, done.err) == (1, "")
        assert done.out.splitlines() == [
            f"+ {HOST}/new prefix  Ingress shop/other",
            f"~ {HOST}/ prefix  Ingress shop/web  0 requests/s",
            "    path: / prefix -> /shop prefix",
            "1 added, 0 removed, 1 changed of 1 route; 0 requests/s on those that run",
        ]


async def test_a_mistake_changes_nothing_and_is_told_with_its_place(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, _, address):
        done = await diff(address, manifest(order="first"))
        assert done.code == 0
        assert done.err.startswith(f"<stdin>:5:5: error FG0201 metadata.annotations[{PREFIX}order]")
        assert "the last good version stays live" in done.err


async def test_listeners_and_routes_of_others_are_told_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as (rig, _, address):
        port = free_port()
        gateway = {
            "apiVersion": "alibabacloud.com/v1",
            "kind": "AlbConfig",
            "metadata": {
                "name": "ackone-gateway-demo",
                "annotations": {PREFIX + "remote-clusters": "cluster-1"},
            },
            "spec": {"listeners": [{"port": port, "protocol": "HTTP"}]},
        }
        done = await diff(address, gateway, output="json")
        found = json.loads(done.out)
        assert {aspect["name"] for aspect in found["listeners"]} == {
            f"listener {rig.port}",
            f"listener {port}",
        }
        (change,) = found["changes"]
        assert [aspect["name"] for aspect in change["aspects"]] == ["ports", "split"]


async def test_annotations_that_kubectl_did_not_apply_stay(tmp_path: Path) -> None:
    async with serving(tmp_path) as (rig, running, address):
        applied = json.dumps({"metadata": {"annotations": {PREFIX + "order": "7"}}})
        live = manifest(order="7")
        live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = applied
        live["metadata"]["annotations"][PREFIX + "cluster-weight.cluster-1"] = "100"
        live["metadata"] |= {"namespace": "shop", "generation": 2}
        translations = running.state().translations
        rig.apply(live)
        await _until_translated(running, translations)
        done = await diff(address, manifest(), output="json")
        (change,) = json.loads(done.out)["changes"]
        assert [aspect["name"] for aspect in change["aspects"]] == ["order"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("-f", "missing"), 2, "fleetgate: missing: no such file"),
        (("-f", "-"), 2, "fleetgate: the manifests cannot be applied as they are"),
    ],
)
async def test_wrong_usage_is_one_line(args: tuple[str, ...], code: int, said: str) -> None:
    done = await fleetgate("diff", *args, stdin="a: [")
    assert done.code == code
    assert done.err.splitlines()[-1].startswith(said)


async def test_a_gateway_that_does_not_answer_is_one_line_and_exit_3() -> None:
    done = await diff(f"127.0.0.1:{free_port()}", manifest())
    assert done.code == 3
    assert done.err.count("\n") == 1


async def _keep_asking(port: int) -> None:
    while True:
        await ask(port)


async def _until_translated(running: Gateway, translations: int) -> None:
    async with asyncio.timeout(10):
        while running.state().translations == translations:
            await asyncio.sleep(0.01)
