"""The key of affinity cookies: one Secret for all replicas, a private file without it, told to nobody."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from controlplane.gateway import session_key
from controlplane.gateway.session_key import FIELD, SECRET, SessionKeys
from controlplane.kube.client import open_client
from controlplane.kube.lease import LeaderElector
from tests.support.fakeapi import Exchange, FakeApi
from tests.support.waiting import until

NAMESPACE = "fleetgate-system"
Start = Callable[[str], SessionKeys]


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as server:
        yield server


@pytest.fixture
async def start(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: dict[str, list[bytes]]
) -> AsyncIterator[Start]:
    """Start replicas by name, each with a state directory of its own; `used` has their keys."""
    monkeypatch.setattr(session_key, "CHECK_S", 0.05)
    monkeypatch.setattr(session_key, "RETRY_S", 0.05)
    client = await open_client(api.kubeconfig())
    tasks: list[asyncio.Task[None]] = []

    def begin(name: str) -> SessionKeys:
        elector = LeaderElector(client, NAMESPACE, "fleetgate", name)
        directory = tmp_path / name
        directory.mkdir(mode=0o700, exist_ok=True)
        keys = SessionKeys(
            client, NAMESPACE, elector, directory / "session-key.json", used.setdefault(name, []).append
        )
        keys.load()
        tasks.extend(asyncio.create_task(work.run()) for work in (elector, keys))
        return keys

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()


@pytest.fixture
def used() -> dict[str, list[bytes]]:
    return {}


def stored(api: FakeApi) -> bytes:
    secret = api.store.objects["secrets"].get(f"{NAMESPACE}/{SECRET}", {})
    return base64.b64decode(secret.get("data", {}).get(FIELD, ""))


async def test_replicas_agree_on_the_key_that_the_leader_makes(
    api: FakeApi, start: Start, used: dict[str, list[bytes]]
) -> None:
    start("one")
    await until(lambda: stored(api) != b"")
    start("two")
    await until(lambda: used["two"][-1] == used["one"][-1] == stored(api))
    assert len(stored(api)) == 32
    assert len(api.seen("create secrets")) == 1


async def test_a_new_key_in_the_secret_is_taken_over_and_kept(
    api: FakeApi, start: Start, used: dict[str, list[bytes]], tmp_path: Path
) -> None:
    start("one")
    await until(lambda: stored(api) != b"")
    new = b"n" * 32
    data = {FIELD: base64.b64encode(new).decode()}
    api.store.put("secrets", {"metadata": {"name": SECRET, "namespace": NAMESPACE}, "data": data})
    await until(lambda: used["one"][-1] == new)
    file = tmp_path / "one" / "session-key.json"
    await until(lambda: base64.b64encode(new) in file.read_bytes())
    assert file.stat().st_mode & 0o777 == 0o600
    start("one")
    assert used["one"][-1] == new


async def test_without_the_right_a_gateway_has_a_key_of_its_own_and_says_so_once(
    api: FakeApi, start: Start, used: dict[str, list[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    async def forbid(exchange: Exchange) -> None:
        await exchange.fail(403, "Forbidden", "secrets is forbidden")

    api.always["get secrets"] = forbid
    with caplog.at_level(logging.INFO):
        start("one")
        await until(lambda: len(api.seen("get secrets")) > 3)
    told = [record for record in caplog.records if "affinity" in record.message]
    assert [record.message for record in told] == ["affinity cookies hold for this replica only"]
    assert len(used["one"]) == 1
    start("one")  # again: with the same key
    assert used["one"][0] == used["one"][1]


@pytest.mark.parametrize("data", [{}, {FIELD: "!"}, {FIELD: base64.b64encode(b"short").decode()}])
async def test_a_secret_that_holds_no_key_is_not_used_and_not_shown(
    api: FakeApi, start: Start, used: dict[str, list[bytes]], caplog: pytest.LogCaptureFixture,
    data: dict[str, str],
) -> None:  # fmt: skip
    api.store.put("secrets", {"metadata": {"name": SECRET, "namespace": NAMESPACE}, "data": data})
    with caplog.at_level(logging.INFO):
        start("one")
        await until(lambda: "affinity" in caplog.text)
    assert len(used["one"]) == 1
    everything = " ".join(str(vars(record)) for record in caplog.records)
    for key in (used["one"][0], b"short"):
        assert base64.b64encode(key).decode() not in everything


async def test_a_file_that_others_can_read_is_not_believed(
    start: Start, used: dict[str, list[bytes]], tmp_path: Path
) -> None:
    directory = tmp_path / "one"
    directory.mkdir(mode=0o700)
    file = directory / "session-key.json"
    file.write_text(f'{{"{FIELD}":"{base64.b64encode(b"k" * 32).decode()}"}}')
    file.chmod(0o644)
    start("one")
    assert used["one"][0] != b"k" * 32
    assert file.stat().st_mode & 0o777 == 0o600
