"""What a client sends, and how it names what went wrong."""

import asyncio
import base64
import gzip
import json
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme
import yaml
from aiohttp.client_reqrep import ConnectionKey

from controlplane.kube.client import USER_AGENT, ApiClient, open_client
from controlplane.kube.errors import ApiError, ConfigError, Unreachable
from controlplane.kube.transport import cause_of
from tests.support.clock import FakeClock
from tests.support.fakeapi import Exchange, FakeApi


async def test_a_client_identifies_itself_and_sends_the_token(api: FakeApi, client: ApiClient) -> None:
    await client.get("/version")
    headers = api.requests[0].headers
    assert headers["user-agent"] == USER_AGENT
    assert headers["authorization"] == "Bearer t0ken"


async def test_proxies_of_the_environment_get_nothing(
    api: FakeApi, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    await client.get("/version")


async def test_a_token_with_a_line_break_is_sent_without_it(api: FakeApi) -> None:
    client = await open_client(api.kubeconfig("abc\n"))
    await client.get("/version")
    await client.close()
    assert api.requests[0].headers["authorization"] == "Bearer abc"


async def test_a_401_makes_it_read_the_kubeconfig_again_once(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(api.kubeconfig("old")))
    client = await open_client(path)
    api.tokens = {"new"}
    path.write_text(yaml.safe_dump(api.kubeconfig("new")))
    await client.get("/version")
    api.tokens = {"newer still"}
    with pytest.raises(ApiError, match=r"401.*renew the token"):
        await client.get("/version")
    await client.close()
    assert [request.headers["authorization"] for request in api.requests] == [
        "Bearer old", "Bearer new", "Bearer new", "Bearer new"
    ]  # fmt: skip


async def test_a_token_file_is_read_again_every_minute(
    api: FakeApi, tmp_path: Path, clock: FakeClock
) -> None:
    config = api.kubeconfig()
    config["users"][0]["user"] = {"tokenFile": "token"}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    (tmp_path / "token").write_text("one\n")
    client = await open_client(tmp_path / "config", clock=clock.clock)
    await client.get("/version")
    (tmp_path / "token").write_text("two\n")
    await client.get("/version")
    clock.now_s += 61
    await client.get("/version")
    await client.close()
    sent = [request.headers["authorization"] for request in api.requests]
    assert sent == ["Bearer one", "Bearer one", "Bearer two"]


async def test_an_exec_plugin_is_run_until_its_token_expires(
    api: FakeApi, tmp_path: Path, clock: FakeClock
) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\necho run >> $(dirname $0)/runs\n"
        'echo \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"fresh","expirationTimestamp":"2026-01-01T01:00:00Z"}}\'\n'
    )
    plugin.chmod(0o700)
    config = api.kubeconfig()
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
    config["users"][0]["user"] = {"exec": command}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    client = await open_client(tmp_path / "config", clock=clock.clock)
    await client.get("/version")
    await client.get("/version")
    runs = (tmp_path / "runs").read_text().splitlines()
    clock.now_s += 7200
    await client.get("/version")
    await client.close()
    assert api.requests[0].headers["authorization"] == "Bearer fresh"
    assert len(runs) == 1
    assert len((tmp_path / "runs").read_text().splitlines()) == 2


async def test_an_exec_plugin_that_fails_is_named_in_one_line(api: FakeApi, tmp_path: Path) -> None:
    config = api.kubeconfig()
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}
    config["users"][0]["user"] = {"exec": command}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(
        ConfigError, match=r"^kubeconfig .*: the credential plugin failed: .*returned 1"
    ) as caught:
        await open_client(tmp_path / "config")
    assert "\n" not in str(caught.value)


async def test_an_unreachable_server_is_named_with_cause_and_cure(api: FakeApi, client: ApiClient) -> None:
    await api.stop()
    with pytest.raises(Unreachable) as caught:
        await client.get("/version")
    await api.start()
    text = str(caught.value)
    assert text.startswith(f"cannot reach API server {api.url}: connection refused; ")
    assert "check that it runs" in text
    assert "\n" not in text
    assert not client.reachable


def test_a_name_that_does_not_resolve_is_said_so() -> None:
    failed = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    key = ConnectionKey("nowhere.invalid", 6443, True, True, None, None, None)
    assert cause_of(aiohttp.ClientConnectorDNSError(key, failed)) == "name or service not known"


async def test_many_waiters_knock_as_one_and_at_most_twice_a_minute(
    api: FakeApi, client: ApiClient, clock: FakeClock
) -> None:
    await api.stop()
    with pytest.raises(Unreachable):
        await client.get("/version")
    started = clock.now_s
    waiting = [asyncio.create_task(client.reconnected()) for _ in range(8)]
    while clock.now_s < started + 600:
        await asyncio.sleep(0)
    late = [seconds for seconds in clock.sleeps if seconds >= 30]
    assert len(clock.sleeps) - len(late) == 6, "0.8 s doubling to 30 s"
    await api.start()
    await asyncio.gather(*waiting)
    assert client.reachable
    assert len(api.requests) == 1


async def test_a_server_that_is_heard_from_ends_the_wait_for_a_knock(api: FakeApi) -> None:
    clock = FakeClock(auto=False)
    client = await open_client(api.kubeconfig(), clock=clock.clock)
    await api.stop()
    with pytest.raises(Unreachable):
        await client.get("/version")
    waiting = asyncio.create_task(client.reconnected())
    await clock.asleep()
    client.heard()  # as a watch does, whose connection has outlived the pause
    async with asyncio.timeout(5):
        await waiting
    await api.start()
    await client.close()


async def test_requests_are_limited_to_twenty_a_second_after_a_burst_of_forty(
    api: FakeApi, client: ApiClient, clock: FakeClock
) -> None:
    for _ in range(60):
        await client.get("/version")
    assert clock.sleeps == pytest.approx([0.05] * 20)


async def test_a_redirect_is_not_followed(api: FakeApi, client: ApiClient) -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.answer(302, b"", {"Location": "http://127.0.0.1:1/"})

    api.script["get version"].append(redirect)
    with pytest.raises(ApiError, match="302"):
        await client.get("/version")


async def test_a_compressed_list_is_read(api: FakeApi, client: ApiClient) -> None:
    async def compressed(exchange: Exchange) -> None:
        assert "gzip" in exchange.headers["accept-encoding"]
        await exchange.answer(200, gzip.compress(b'{"items":[]}'), {"Content-Encoding": "gzip"})

    api.script["list services"].append(compressed)
    assert json.loads(await client.list("/api/v1/services")) == {"items": []}


async def test_tls_is_verified_with_the_authority_of_the_kubeconfig(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    api = FakeApi()
    api.tls = context
    async with api:
        config = api.kubeconfig()
        (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
        config["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        client = await open_client(tmp_path / "config")
        await client.get("/version")
        await client.close()
        (tmp_path / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
        client = await open_client(tmp_path / "config")
        with pytest.raises(
            Unreachable, match=r"its certificate is not trusted \(.*\); see certificate-authority"
        ):
            await client.get("/version")
        await client.close()


async def test_a_client_certificate_of_the_kubeconfig_is_shown(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    pair = authority.issue_cert("gateway.example")
    api = FakeApi()
    api.tls = context
    async with api:
        config = api.kubeconfig()
        encoded = base64.b64encode
        config["clusters"][0]["cluster"]["certificate-authority-data"] = encoded(
            authority.cert_pem.bytes()
        ).decode()
        config["users"][0]["user"] = {
            "client-certificate-data": encoded(pair.cert_chain_pems[0].bytes()).decode(),
            "client-key-data": encoded(pair.private_key_pem.bytes()).decode(),
        }
        client = await open_client(config)
        await client.get("/version")
        await client.close()


def test_an_error_without_the_name_of_its_server_reads_well_too() -> None:
    # The ERROR events of a watch name none.
    error = ApiError(410, "Expired", "too old resource version: 1 (2)")
    assert str(error) == "the API server answered 410: too old resource version: 1 (2)"
