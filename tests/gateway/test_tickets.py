"""The secret of session tickets: another after each rotation, none where workers cannot use it."""

import asyncio
import contextlib

import pytest

from controlplane.gateway.tickets import TicketSecrets
from tests.support.waiting import until


async def test_workers_get_a_new_secret_after_each_rotation() -> None:
    used: list[bytes] = []
    running = asyncio.create_task(TicketSecrets(used.append, rotation_s=0.01).run())
    try:
        await until(lambda: len(used) >= 3, 20)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert len(set(used)) == len(used)
    assert {len(secret) for secret in used} == {32}


async def test_an_interpreter_of_another_layout_shares_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crashing(_module: str) -> tuple[str, ...]:
        return ("sh", "-c", "kill -SEGV $$")

    monkeypatch.setattr("controlplane.system.children.python", crashing)
    used: list[bytes] = []
    running = asyncio.create_task(TicketSecrets(used.append).run())
    try:
        await until(lambda: bool(caplog.records), 20)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert not used
    assert [record.message for record in caplog.records] == [
        "session tickets are not shared by workers: this Python keeps TLS contexts elsewhere"
    ]
