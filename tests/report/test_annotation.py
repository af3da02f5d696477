"""The annotation is written by the leader, seldom, and removed when it is not wanted any more."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from controlplane.kube.client import ApiClient, open_client
from controlplane.kube.lease import LeaderElector
from controlplane.report import annotation
from controlplane.report.annotation import (
    DENIED_PAUSE_S,
    FIELD_MANAGER,
    LEARN_S,
    PAUSE_S,
    SETTLE_S,
    ShareAnnotator,
)
from controlplane.translate.annotations.effective_shares import KEY
from tests.support.clock import FakeClock
from tests.support.fakeapi import Exchange, FakeApi
from tests.support.objects import ingress
from tests.support.waiting import until

WEB = ("demo", "web")
PATCH = "patch ingresses"


class Desk:
    """A writer on a fake Fleet, whose store is its watch cache; time moves when told to."""

    def __init__(self, api: FakeApi, client: ApiClient, clock: FakeClock) -> None:
        self.api, self.clock = api, clock
        self.elector = LeaderElector(client, "kube-system", "fleetgate", "me")  # on a clock of its own
        self.writer = ShareAnnotator(client, self.elector, self.uid, self.annotated, clock=clock.clock)
        self.lagging: Mapping[tuple[str, str], str] | None = None

    def put(self, name: str = "web", **annotations: str) -> None:
        item = ingress(name)
        item["metadata"]["annotations"] = {"user": "1"} | {
            KEY if key == "shares" else key: value for key, value in annotations.items()
        }
        self.api.store.put("ingresses", item)

    def uid(self, key: tuple[str, str]) -> str | None:
        item = self.api.store.objects["ingresses"].get("/".join(key))
        return item["metadata"]["uid"] if item is not None else None

    def annotations(self, name: str = "web") -> dict[str, str]:
        found: dict[str, str] = self.api.store.objects["ingresses"][f"demo/{name}"]["metadata"]["annotations"]
        return found

    def annotated(self) -> Mapping[tuple[str, str], str]:
        if self.lagging is not None:
            return self.lagging
        items = self.api.store.objects["ingresses"].values()
        return {
            (item["metadata"]["namespace"], item["metadata"]["name"]): item["metadata"]["annotations"][KEY]
            for item in items
            if KEY in item["metadata"]["annotations"]
        }

    async def passes(self, seconds: float) -> None:
        """Let time pass, second by second, and all that comes of it."""
        for _ in range(round(seconds)):
            await self.clock.asleep()
            await self.clock.advance(1.0)
        await self.clock.asleep()

    @property
    def patches(self) -> list[Exchange]:
        return self.api.seen(PATCH)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = FakeClock(auto=False)
    async with FakeApi() as api:
        client = await open_client(api.kubeconfig())
        made = Desk(api, client, clock)
        tasks = [asyncio.create_task(made.elector.run())]
        await made.elector.leading()
        tasks.append(asyncio.create_task(made.writer.run()))
        yield made
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def test_the_annotation_is_written_once_after_a_while_and_removed_likewise(
    desk: Desk,
) -> None:
    desk.put()
    desk.writer.want({WEB: "{1}"})
    await desk.passes(SETTLE_S - 1)
    assert desk.patches == []
    await desk.passes(LEARN_S)
    assert desk.annotations() == {"user": "1", KEY: "{1}"}
    (request,) = desk.patches
    assert request.query == {"fieldManager": FIELD_MANAGER}
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert msgspec.json.decode(request.body) == {
        "metadata": {"uid": desk.uid(WEB), "annotations": {KEY: "{1}"}}
    }
    desk.writer.want({})
    await desk.passes(SETTLE_S - 1)
    assert KEY in desk.annotations()
    await desk.passes(3)
    assert desk.annotations() == {"user": "1"}
    assert len(desk.patches) == 2


async def test_a_value_that_comes_and_goes_is_not_written(desk: Desk) -> None:
    desk.put()
    for _ in range(10):
        desk.writer.want({WEB: "{1}"})
        await desk.passes(3)
        desk.writer.want({})
        await desk.passes(2)
    assert desk.patches == []


async def test_shares_that_change_all_the_time_are_written_now_and_then(desk: Desk) -> None:
    desk.put()
    for number in range(40):
        desk.writer.want({WEB: f"{{{number}}}"})
        await desk.passes(1)
    assert 3 <= len(desk.patches) <= 40 / PAUSE_S
    assert int(desk.annotations()[KEY].strip("{}")) >= 40 - PAUSE_S


async def test_our_own_write_is_not_repeated_at_once_while_the_watch_lags(desk: Desk) -> None:
    desk.put()
    desk.lagging = {}
    desk.writer.want({WEB: "{1}"})
    await desk.passes(SETTLE_S + PAUSE_S - 2)
    assert len(desk.patches) == 1


async def test_an_annotation_of_a_dead_leader_is_removed_but_not_by_one_that_knows_nothing_yet(
    desk: Desk,
) -> None:
    desk.put(shares="{left}")
    await desk.passes(LEARN_S - 2)
    assert desk.patches == []
    await desk.passes(4)
    assert desk.annotations() == {"user": "1"}


async def test_nothing_is_written_while_another_one_leads(desk: Desk) -> None:
    desk.put()
    desk.writer.want({WEB: "{1}"})
    await desk.passes(2)
    desk.elector._renewed_at = float("-inf")
    lease = desk.api.store.objects["leases"]["kube-system/fleetgate"]
    lease["spec"] |= {"holderIdentity": "other", "leaseDurationSeconds": 3600}
    await desk.clock.advance(60)
    await asyncio.sleep(0.1)
    assert desk.patches == []


async def test_without_the_right_to_there_is_one_attempt_in_ten_minutes_and_one_line(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(403, "Forbidden", "cannot patch ingresses")

    caplog.set_level(logging.WARNING, annotation.__name__)
    desk.api.always[PATCH] = refuse
    names = [("demo", f"web-{number}") for number in range(50)]
    for _, name in names:
        desk.put(name)
    desk.writer.want(dict.fromkeys(names, "{1}"))
    await desk.passes(60)
    assert len(desk.patches) == 1
    assert "cannot patch ingresses; grant it" in desk.writer.last_error
    await desk.passes(DENIED_PAUSE_S - 50)
    assert len(desk.patches) == 2
    (record,) = caplog.records
    assert "cannot patch ingresses" in record.__dict__["cause"]
    del desk.api.always[PATCH]
    await desk.clock.asleep()
    await desk.clock.advance(DENIED_PAUSE_S)
    await until(lambda: len(desk.annotated()) == 50)
    assert desk.writer.last_error == ""


@pytest.mark.parametrize(("status", "reason"), [(409, "Conflict"), (404, "NotFound"), (422, "Invalid")])
async def test_a_conflict_harms_no_other_ingress_and_is_tried_again(
    desk: Desk, status: int, reason: str
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(status, reason, "no")

    desk.put("a")
    desk.put("b")
    desk.api.script[PATCH].append(refuse)
    desk.writer.want({("demo", "a"): "{1}", ("demo", "b"): "{1}"})
    await desk.passes(SETTLE_S + 1)
    assert len(desk.annotated()) == 1
    assert (desk.writer.counters.conflict, desk.writer.counters.failed) == (1, 0)
    await desk.passes(PAUSE_S + 1)
    assert len(desk.annotated()) == 2


async def test_an_ingress_that_is_gone_is_not_written_to(desk: Desk) -> None:
    desk.writer.want({WEB: "{1}"})
    await desk.passes(SETTLE_S + 2)
    assert desk.patches == []


async def test_nothing_is_lost_while_the_api_server_is_away(desk: Desk) -> None:
    desk.put()
    await desk.api.stop()
    desk.writer.want({WEB: "{1}"})
    await desk.passes(SETTLE_S)
    await desk.clock.advance(1)
    await until(lambda: desk.writer.last_error)
    await desk.api.start()
    await desk.elector.leading()

    async def later() -> Any:
        await desk.clock.advance(1)
        return KEY in desk.annotations()

    for _ in range(600):
        if await later():
            break
        await asyncio.sleep(0.05)
    assert desk.annotations()[KEY] == "{1}"
