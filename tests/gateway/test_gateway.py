"""From objects on API servers to answers on a port, and through every outage of the API servers."""

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.admin.health import readiness
from controlplane.gateway.gateway import Gateway
from loadtest.ports import free_port
from tests.sources.conftest import secret
from tests.support.clusters import MEMBERS, Clusters, Json, ask, clusters, gateway_on, ready
from tests.support.translation import endpoint_slice, gateway
from tests.support.waiting import until


async def test_the_first_answer_of_a_ready_gateway_comes_from_a_pod(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        answers = [await ask(port) for _ in range(10)]
        assert sorted(answers) == [(200, "cluster-1")] * 5 + [(200, "cluster-2")] * 5


async def test_a_change_of_endpoints_leaves_the_rules_alone(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        before = running.state()
        rig.pods("cluster-2", ready=False)
        await until(lambda: running.state().wanted_version == before.wanted_version + 1)
        assert [await ask(port) for _ in range(4)] == [(200, "cluster-1")] * 4
        after = running.state()
        assert after.rules_version == before.rules_version  # the rules were not sent again
        assert [worker.applied_version for worker in after.workers] == [after.wanted_version]
        rig.pods("cluster-2")
        await until(lambda: running.state().wanted_version == before.wanted_version + 2)
        assert {(await ask(port))[1] for _ in range(4)} == {*MEMBERS}


async def test_a_change_without_effect_makes_no_snapshot(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        before = running.state()
        rig.ingress(unknown="x")
        await until(lambda: running.state().translations > before.translations)
        assert running.state().wanted_version == before.wanted_version


async def test_rules_change_without_a_failed_request(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig, workers=2) as running:
        await ready(running)
        failed: list[tuple[int, str]] = []
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                answer = await ask(port)
                if answer[0] != 200:
                    failed.append(answer)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(client())
            for number in range(20):
                rig.ingress("other", f"/other-{number}", generation=number + 1)
                await until(partial(has_path, running, f"/other-{number}"))
            done.set()
        assert failed == []


def has_path(running: Gateway, path: str) -> bool:
    snapshot = running.state().snapshot
    return snapshot is not None and any(route.path.value == path for route in snapshot.routes)


async def test_a_restarted_gateway_serves_while_every_api_server_is_dead(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        async with gateway_on(rig) as running:
            await ready(running)
        for api in (rig.fleet, *rig.apis.values()):
            await api.stop()
        async with gateway_on(rig) as running:
            await ready(running)
            state = running.state()
            assert state.from_disk
            assert not state.fleet_synced
            assert {await ask(port) for _ in range(4)} == {(200, "cluster-1"), (200, "cluster-2")}
            for api in (rig.fleet, *rig.apis.values()):
                await api.start()
            await until(lambda: not running.state().from_disk, 40)
            assert (await ask(port))[0] == 200


async def test_a_member_that_is_down_at_a_restart_keeps_its_endpoints(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        async with gateway_on(rig) as running:
            await ready(running)
        await rig.apis["cluster-2"].stop()
        async with gateway_on(rig) as running:
            await until(lambda: running.state().fleet_synced and not running.state().from_disk)
            await ready(running)
            assert {await ask(port) for _ in range(4)} == {(200, "cluster-1"), (200, "cluster-2")}
        await rig.apis["cluster-2"].start()


async def test_a_member_that_is_down_at_the_first_start_does_not_hold_up_the_other(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        await rig.apis["cluster-2"].stop()
        async with gateway_on(rig) as running:
            await ready(running, 10)
            assert [await ask(port) for _ in range(4)] == [(200, "cluster-1")] * 4
        await rig.apis["cluster-2"].start()


async def test_statuses_and_open_ports_follow_the_albconfig(tmp_path: Path) -> None:
    port, second = free_port(), free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        albconfig = gateway(port)[0]
        albconfig["spec"]["listeners"].append({"port": second, "protocol": "HTTP"})
        rig.apply(albconfig)
        objects = rig.fleet.store.objects
        await until(lambda: (second, "HTTP") in written_listeners(objects))
        _, writer = await asyncio.open_connection("127.0.0.1", second)
        writer.close()
        rig.apply(gateway(port)[0])
        await until(lambda: written_listeners(objects) == [(port, "HTTP")])
        with pytest.raises(ConnectionRefusedError):
            await ask(second)
        await until(lambda: "status" in objects["ingresses"]["shop/web"])
        published = objects["ingresses"]["shop/web"]["status"]["loadBalancer"]["ingress"]
        assert [entry["hostname"] for entry in published] == ["gateway.example.com"]


async def test_an_ingress_whose_class_goes_to_another_controller_loses_our_address(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        stored = rig.fleet.store.objects["ingresses"]
        await until(lambda: written_address(stored["shop/web"]) == ["gateway.example.com"])
        foreign = {**stored["shop/web"], "spec": {**stored["shop/web"]["spec"], "ingressClassName": "other"}}
        rig.apply(foreign)
        await until(lambda: written_address(stored["shop/web"]) == [])
        rig.apply({**foreign, "status": {"loadBalancer": {"ingress": [{"hostname": "other.example"}]}}})
        rig.ingress("other", "/other")
        await until(lambda: written_address(stored["shop/other"]) == ["gateway.example.com"])
        assert written_address(stored["shop/web"]) == ["other.example"]


def written_address(ingress: Json) -> list[str]:
    entries = ingress.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return [entry["hostname"] for entry in entries]


async def test_the_session_key_is_in_its_file_alone(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        async with gateway_on(rig) as running:
            await ready(running)
            secrets = rig.fleet.store.objects["secrets"]
            await until(lambda: "default/fleetgate-session-key" in secrets)
            key = secrets["default/fleetgate-session-key"]["data"]["key"].encode()
            state = repr(running.state()).encode()
        files = [path for path in (tmp_path / "state").iterdir() if path.is_file()]
        assert [path.name for path in files if key in path.read_bytes()] == ["session-key.json"]
        assert key not in state
        assert base64.b64decode(key) not in state


def written_listeners(objects: Mapping[str, Json]) -> list[tuple[int, str]]:
    (albconfig,) = objects["albconfigs"].values()
    listed = albconfig.get("status", {}).get("loadBalancer", {}).get("listeners", [])
    pairs = (entry["portAndProtocol"].split("/") for entry in listed)
    return [(int(port), protocol) for port, protocol in pairs]


async def test_a_busy_listener_port_is_a_finding_and_is_opened_when_it_is_free(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
            await until(lambda: any("in use" in str(finding) for finding in running.state().diagnostics))
            await until(lambda: failed_checks(running) == ["listeners"])
            busy.close()
            await ready(running)
            assert (await ask(port))[0] == 200
            await until(lambda: not any("in use" in str(finding) for finding in running.state().diagnostics))


async def test_a_busy_port_of_one_gateway_is_nothing_to_the_other(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        other = busy.getsockname()[1]
        async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
            rig.apply(mse_gateway(other))
            objects = rig.fleet.store.objects["mseingressconfigs"]
            await until(lambda: mse_status(objects).get("phase") == "Failed")
            assert f"port {other} is in use" in mse_status(objects)["message"]
            await ready(running)
            assert (await ask(port))[0] == 200
            busy.close()
            await until(lambda: mse_status(objects)["phase"] == "Listening", 20)
            assert mse_status(objects)["message"] == ""
            assert mse_status(objects)["remoteClusters"] == [{"clusterId": name} for name in MEMBERS]
            rig.apply(mse_ingress())
            await until_async(lambda: ask(other), (200, "cluster-1"))


def mse_gateway(port: int) -> Json:
    annotations = {
        "mse.alibabacloud.com/remote-clusters": ",".join(MEMBERS),
        "fleetgate.io/listeners": json.dumps([{"HTTP": port}]),
    }
    return {
        "kind": "MseIngressConfig",
        "metadata": {"name": "mse", "generation": 1, "annotations": annotations},
        "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
    }


def mse_ingress() -> Json:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "shop", "name": "of-mse", "generation": 1},
        "spec": {"ingressClassName": "mse", "defaultBackend": backend},
    }


def mse_status(objects: Mapping[str, Json]) -> Json:
    (config,) = objects.values()
    status: Json = config.get("status", {})
    return status


async def until_async(get: Callable[[], Awaitable[object]], wanted: object, deadline_s: float = 10.0) -> None:
    async with asyncio.timeout(deadline_s):
        while await get() != wanted:
            await asyncio.sleep(0.02)


def failed_checks(running: Gateway) -> list[str]:
    return [check.name for check in readiness(running.state()) if not check.passed]


async def test_a_bad_edit_keeps_the_last_good_version_over_a_restart(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        weights: dict[str, Any] = {"cluster-weight__cluster-1": "100", "cluster-weight__cluster-2": "0"}
        rig.ingress(**weights)
        async with gateway_on(rig) as running:
            await ready(running)
            assert [await ask(port) for _ in range(4)] == [(200, "cluster-1")] * 4
            rig.ingress(generation=2, **(weights | {"cluster-weight__cluster-2": "77"}))
            await until(lambda: any(finding.level == "error" for finding in running.state().diagnostics))
            assert [await ask(port) for _ in range(4)] == [(200, "cluster-1")] * 4
        async with gateway_on(rig) as running:
            await until(lambda: any(finding.level == "error" for finding in running.state().diagnostics))
            await ready(running)
            assert [await ask(port) for _ in range(4)] == [(200, "cluster-1")] * 4


async def test_no_token_is_in_what_the_gateway_keeps(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        async with gateway_on(rig) as running:
            await ready(running)
            state = msgspec.json.encode(running.state().clusters)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file())
        assert b"t0ken" not in kept + state


async def test_a_secret_that_claims_a_registered_cluster_is_told_so_by_an_event(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        rig.fleet.store.put(
            "secrets", cluster_secret("first", "cluster-1", rig.apis["cluster-1"].kubeconfig())
        )
        async with gateway_on(rig, members={}, namespace="clusters") as running:
            await ready(running)
        thief = cluster_secret(
            "thief", "cluster-1", rig.apis["cluster-2"].kubeconfig(), "2026-02-02T00:00:00Z"
        )
        rig.fleet.store.put("secrets", thief)
        rig.fleet.store.delete("secrets", "clusters/first")
        async with gateway_on(rig, members={}, namespace="clusters") as running:
            await until(lambda: any(item.code == "FG0903" for item in running.state().diagnostics))
            await until(lambda: "ClusterTakeover" in reasons(rig))
            assert running.state().clusters == ()


def cluster_secret(name: str, cluster: str, kubeconfig: Json, created: str = "2026-01-01T00:00:00Z") -> Json:
    return secret(name, cluster, json.dumps(kubeconfig), created)


def reasons(rig: Clusters) -> dict[str, str]:
    """Return the objects that Events are about, by reason."""
    events = rig.fleet.store.objects["events"].values()
    return {event["reason"]: event["involvedObject"]["name"] for event in events}


async def test_replicas_of_one_gateway_have_one_name_and_other_gateways_another(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        names: list[str] = []
        for number, namespace in enumerate(("here", "here", "there")):
            told = {"state_dir": tmp_path / f"state-{number}", "namespace": namespace}
            async with gateway_on(rig, **told) as running:
                await ready(running)
                found = running.state().snapshot
                assert found is not None
                names.append(found.gateway)
    assert names[0] == names[1] != names[2]
    assert all(len(name) == 16 for name in names)


async def test_no_endpoint_is_a_listener_of_the_gateway_and_the_owner_is_told(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        own = [{"name": "", "port": port, "protocol": "TCP"}]
        endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}]
        rig.apply(endpoint_slice("shop/web", endpoints, ports=own), rig.apis["cluster-1"])
        await until(lambda: any(item.code == "FG0603" for item in running.state().diagnostics))
        await until_async(partial(answers, port), {(200, "cluster-2")})


async def answers(port: int) -> set[tuple[int, str]]:
    return {await ask(port) for _ in range(4)}
