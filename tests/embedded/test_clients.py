"""kubernetes_asyncio as the client, and the server as a process."""

import asyncio
import json
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_asyncio import client, config, watch

from controlplane.embedded.server import EmbeddedServer, StartError
from tests.support.embedded import DEADLINE, Kubectl, running_server, server_process


async def test_the_client_library_lists_watches_and_patches() -> None:
    async with running_server() as (server, _):
        settings = client.Configuration()
        await config.load_kube_config_from_dict(
            yaml.safe_load(server.kubeconfig()), client_configuration=settings
        )
        async with client.ApiClient(settings) as api:
            core, network = client.CoreV1Api(api), client.NetworkingV1Api(api)
            made: Any = {"metadata": {"name": "a"}, "data": {"k": "v"}}
            await core.create_namespaced_config_map("default", made)
            listed = await core.list_namespaced_config_map("default")
            assert [item.metadata.name for item in listed.items] == ["a"]
            stream = watch.Watch()
            version = listed.metadata.resource_version
            events = stream.stream(
                core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=10
            )
            patched = await core.patch_namespaced_config_map("a", "default", {"data": {"k": "w"}})
            event: Any = await asyncio.wait_for(anext(aiter(events)), DEADLINE)
            assert (event["type"], event["object"].data) == ("MODIFIED", {"k": "w"})
            assert patched.metadata.resource_version == event["object"].metadata.resource_version
            stream.stop()
            await stream.close()
            with pytest.raises(client.ApiException) as caught:
                await network.read_namespaced_ingress("none", "default")
            assert caught.value.status == 404
            slices = await client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces()
            assert slices.items == []


async def test_stopping_ends_watches_without_a_word() -> None:
    path = "/api/v1/namespaces?watch=1"
    async with running_server() as (server, api), api.stream("GET", path) as response:
        lines = response.aiter_lines()
        await anext(lines)
        await asyncio.wait_for(server.stop(), 5)
        assert all([json.loads(line)["type"] == "ADDED" async for line in lines])


async def test_a_busy_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = EmbeddedServer("busy", port=taken.getsockname()[1])
        with pytest.raises(
            StartError, match=r"API server busy: cannot listen on 127\.0\.0\.1:\d+: Address already in use; "
        ):
            await server.start()


def test_the_process_writes_a_private_kubeconfig_and_ends_on_sigterm(tmp_path: Path) -> None:
    with server_process(tmp_path, "--token", "secret-token", "--advertise", "localhost") as (
        process,
        kubeconfig,
    ):
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        loaded = yaml.safe_load(kubeconfig.read_text())
        assert loaded["current-context"] == "test"
        assert loaded["users"][0]["user"] == {"token": "secret-token"}
        assert loaded["clusters"][0]["cluster"]["server"].startswith("https://localhost:")
        process.terminate()
        assert process.wait(DEADLINE) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_objects_are_applied_at_start(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: early}\n")
    (manifests / "b.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: early}\n"
    )
    with server_process(tmp_path, "--apply", str(manifests)) as (_, kubeconfig):
        kubectl = Kubectl(kubeconfig, tmp_path)
        assert kubectl("get", "cm", "-n", "early", "-o", "name") == "configmap/c\n"
