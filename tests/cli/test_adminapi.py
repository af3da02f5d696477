"""Where the command finds the token of a gateway, and to whom it sends one."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.admin.server import AdminServer
from controlplane.cli.adminapi import AdminAddress, _found_file, ask
from controlplane.cli.failure import Failure
from tests.admin.test_api import Fixed
from tests.support.admintoken import token_file
from tests.support.states import serving

QUESTION = {"url": "http://shop.example.com:8001/"}


async def test_in_the_container_of_a_gateway_its_token_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    server = AdminServer("0.0.0.0", 0, ())
    await server.start(Fixed(serving()), token_file())
    asked = (AdminAddress(f"127.0.0.1:{server.port}"), "/api/v1/explain", QUESTION, "considered")
    try:
        monkeypatch.setenv("FLEETGATE_STATE_DIR", str(token_file().path.parent))
        assert "considered" in await asyncio.to_thread(ask, *asked)
        monkeypatch.setenv("FLEETGATE_STATE_DIR", "/nowhere")
        with pytest.raises(Failure, match="--admin-token-file"):
            await asyncio.to_thread(ask, *asked)
    finally:
        await server.stop()


def refusal(host: str, **body: str) -> Any:
    return httpx.Response(401, json=body, request=httpx.Request("POST", f"http://{host}:9901/"))


@pytest.mark.parametrize(
    ("host", "told", "found"),
    [
        ("127.0.0.1", "/s/admin-token", Path("/s/admin-token")),
        ("localhost", "/s/admin-token", Path("/s/admin-token")),
        ("[::1]", "/s/admin-token", Path("/s/admin-token")),
        ("127.0.0.1", "/home/me/.ssh/id_rsa", None),
        ("127.0.0.1", "relative/admin-token", None),
        ("192.0.2.1", "/s/admin-token", None),
        ("gateway.example.com", "/s/admin-token", None),
    ],
)
def test_only_a_gateway_on_this_machine_is_believed_and_only_about_its_token(
    host: str, told: str, found: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETGATE_STATE_DIR", "/nowhere")
    assert _found_file(refusal(host, tokenFile=told)) == found
