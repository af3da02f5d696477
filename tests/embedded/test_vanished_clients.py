"""Watches of clients whose machine is gone end, whether there is something to tell them or not."""

import pytest

from controlplane.embedded import server as embedded
from tests.support.blackhole import silence
from tests.support.embedded import running_server
from tests.support.kernel import is_established, keepalive_in_s
from tests.support.waiting import until

NAMESPACES = "/api/v1/namespaces"


@pytest.mark.parametrize("is_told", [False, True])
async def test_a_watch_of_a_vanished_client_ends(monkeypatch: pytest.MonkeyPatch, is_told: bool) -> None:
    options = [
        (level, option, 1000 if value > 1000 else 1)  # ms and s
        for level, option, value in embedded.VANISHED
    ]
    monkeypatch.setattr(embedded, "VANISHED", options)
    async with running_server() as (server, api):
        port = int(server.url.rpartition(":")[2])
        async with api.stream("GET", NAMESPACES, params={"watch": "1"}) as response:
            lines = response.aiter_lines()
            await anext(lines)
            client = response.extensions["network_stream"].get_extra_info("socket")
            own_port = client.getsockname()[1]
            assert is_established(port, own_port)
            silence(client)
            if is_told:
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
                assert (await api.post(NAMESPACES, json=body)).status_code == 201
            await until(lambda: not is_established(port, own_port), 10, "the end of the watch")


async def test_the_kernel_is_told_to_ask_clients_that_are_quiet() -> None:
    async with running_server() as (server, api):
        port = int(server.url.rpartition(":")[2])
        async with api.stream("GET", NAMESPACES, params={"watch": "1"}) as response:
            client = response.extensions["network_stream"].get_extra_info("socket")
            await until(lambda: 0 < keepalive_in_s(port, client.getsockname()[1]) <= 30, 5)
