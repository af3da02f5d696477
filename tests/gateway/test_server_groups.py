"""Host names, as a running gateway resolves them: of ServerGroups on the Fleet, of Services of members."""

from pathlib import Path
from typing import Any

import pytest

from controlplane.sources import hostnames
from controlplane.system import lookups
from loadtest.ports import free_port
from tests.support.clusters import ask, clusters, gateway_on, ready
from tests.support.fakeapi import Exchange
from tests.support.waiting import until


def server_group(*addresses: str, generation: int = 1) -> dict[str, Any]:
    return {
        "kind": "ServerGroup",
        "metadata": {"namespace": "shop", "name": "idc", "uid": "u-1", "generation": generation},
        "spec": {"id": "sgp-1", "servers": [{"address": address, "port": 8080} for address in addresses]},
    }


async def test_the_status_of_a_group_follows_its_host_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns: dict[str, tuple[str, ...]] = {"idc.example": ("10.9.0.1", "10.9.0.2")}
    monkeypatch.setattr(lookups, "_getaddrinfo", dns.__getitem__)
    monkeypatch.setattr(hostnames, "REFRESH_S", 0.1)
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        rig.apply(server_group("10.8.0.1", "idc.example"))

        def endpoints() -> int | None:
            stored = rig.fleet.store.objects["servergroups"]["shop/idc"]
            count: int | None = stored.get("status", {}).get("endpoints")
            return count

        async with gateway_on(rig) as running:
            await ready(running)
            await until(lambda: endpoints() == 3)
            dns["idc.example"] = ("10.9.0.3",)
            await until(lambda: endpoints() == 2)
            rig.apply(server_group("10.8.0.1", "10.8.0.1", generation=2))  # the same one twice
            await until(lambda: any(item.code == "FG0605" for item in running.state().diagnostics))
            await until(lambda: endpoints() == 2)  # apply took the status away with the rest


@pytest.mark.parametrize("answer", [(404, "NotFound"), (403, "Forbidden")], ids=["no definition", "no right"])
async def test_a_fleet_without_server_groups_serves(tmp_path: Path, answer: tuple[int, str]) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(*answer)

    port = free_port()
    async with clusters(tmp_path, port) as rig:
        rig.fleet.always["list servergroups"] = refuse
        async with gateway_on(rig) as running:
            await ready(running)
            assert (await ask(port))[0] == 200
            assert running.state().fleet_synced
            if answer[0] == 404:
                assert running.state().fleet_error == ""


async def test_an_external_name_of_a_member_is_resolved_and_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "_getaddrinfo", {"web.example.": ("127.0.0.1",)}.__getitem__)
    port = free_port()
    async with clusters(tmp_path, port) as rig:
        target = {"port": 80, "targetPort": rig.origins["cluster-1"].port}
        rig.apply(
            {
                "kind": "Service",
                "metadata": {"namespace": "shop", "name": "web"},
                "spec": {"type": "ExternalName", "externalName": "web.example", "ports": [target]},
            },
            rig.apis["cluster-1"],
        )
        rig.pods("cluster-2", ready=False)
        async with gateway_on(rig) as running:
            await ready(running)
            assert await ask(port) == (200, "cluster-1")
