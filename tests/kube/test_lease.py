"""Who may write: never two at once, and never by the word of another machine's clock."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from controlplane.kube.client import ApiClient, open_client
from controlplane.kube.lease import LeaderElector
from tests.support.clock import FakeClock
from tests.support.fakeapi import Exchange, FakeApi
from tests.support.reflecting import failing
from tests.support.waiting import until

Spawn = Callable[[Coroutine[Any, Any, None]], Any]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto=False)


@pytest.fixture
async def other_client(api: FakeApi, clock: FakeClock) -> AsyncIterator[ApiClient]:
    opened = await open_client(api.kubeconfig(), clock=clock.clock)
    yield opened
    await opened.close()


def elector(client: ApiClient, clock: FakeClock, identity: str = "a") -> LeaderElector:
    return LeaderElector(client, "kube-system", "fleetgate", identity, clock=clock.clock)


def spec(api: FakeApi) -> dict[str, Any]:
    found: dict[str, Any] = api.store.objects["leases"]["kube-system/fleetgate"]["spec"]
    return found


async def test_the_first_one_creates_the_lease_and_leads(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    one = elector(client, clock)
    assert not one.is_leader
    spawn(one.run())
    await one.leading()
    assert spec(api)["holderIdentity"] == "a"
    assert spec(api)["renewTime"].endswith("Z")


async def test_a_second_one_waits_until_the_record_has_not_changed_for_its_duration(
    api: FakeApi, client: ApiClient, other_client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    held = {"holderIdentity": "old", "leaseDurationSeconds": 15, "renewTime": "2020-01-01T00:00:00.000000Z"}
    api.store.put("leases", {"metadata": {"name": "fleetgate", "namespace": "kube-system"}, "spec": held})
    two = elector(client, clock, "two")
    spawn(two.run())
    await until(lambda: api.seen("get leases"))
    for round in range(2, 9):
        await clock.asleep()
        await clock.advance(2.0)
        await until(lambda: len(api.seen("get leases")) == round)  # noqa: B023
        assert not two.is_leader, "its renewTime is years ago, but by whose clock?"
    await clock.asleep()
    await clock.advance(2.0)
    await until(lambda: two.is_leader)
    assert spec(api)["leaseTransitions"] == 1


async def test_a_leader_cut_off_from_the_api_stops_before_another_may_start(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    one = elector(client, clock)
    spawn(one.run())
    await one.leading()
    await api.stop()
    clock.now_s += 9.9
    assert one.is_leader
    clock.now_s += 0.2
    assert not one.is_leader
    await api.start()


async def test_a_lost_race_ends_the_leadership(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    async def conflict(exchange: Exchange) -> None:
        await exchange.fail(409, "Conflict", "the object has been modified")

    one = elector(client, clock)
    spawn(one.run())
    await one.leading()
    api.script["update leases"].append(conflict)
    await clock.asleep()
    await clock.advance(2.5)
    await until(lambda: not one.is_leader)
    await clock.asleep()
    await clock.advance(2.5)
    await one.leading()


async def test_a_clean_exit_releases_the_lease_at_once(
    api: FakeApi, client: ApiClient, other_client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    one, two = elector(client, clock, "one"), elector(other_client, clock, "two")
    task = spawn(one.run())
    await one.leading()
    spawn(two.run())
    await until(lambda: len(api.seen("get leases")) >= 2)
    task.cancel()
    await until(lambda: spec(api)["holderIdentity"] == "")
    assert not one.is_leader
    await clock.asleep()
    await clock.advance(2.5)
    await two.leading()
    assert spec(api)["holderIdentity"] == "two"


async def test_renewing_keeps_the_time_of_acquisition(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    one = elector(client, clock)
    spawn(one.run())
    await one.leading()
    first = json.loads(json.dumps(spec(api)))
    await clock.asleep()
    await clock.advance(2.5)
    await until(lambda: spec(api)["renewTime"] != first["renewTime"])
    assert spec(api)["acquireTime"] == first["acquireTime"]
    assert one.transitions == 1


async def test_a_lease_that_may_not_be_read_is_said_once(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn, caplog: pytest.LogCaptureFixture
) -> None:
    message = 'leases.coordination.k8s.io "fleetgate" is forbidden: User "u" cannot get resource "leases"'
    api.always["get leases"] = failing(403, "Forbidden", message)
    one = elector(client, clock)
    spawn(one.run())
    for attempts in range(1, 4):
        await until(lambda wanted=attempts: len(api.seen("get leases")) == wanted)  # type: ignore[misc]
        await clock.asleep()
        await clock.advance(2.5)
    (record,) = [record for record in caplog.records if record.name == "controlplane.kube.lease"]
    assert record.__dict__["lease"] == "kube-system/fleetgate"
    assert "is forbidden" in record.__dict__["cause"]
    assert not one.is_leader


async def test_replicas_have_the_uid_of_their_lease_in_common(
    api: FakeApi, client: ApiClient, other_client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    answers: list[str] = []
    one = elector(client, clock)
    two = LeaderElector(
        other_client,
        "kube-system",
        "fleetgate",
        "b",
        on_answer=lambda: answers.append(two.uid),
        clock=clock.clock,
    )
    spawn(one.run())
    await one.leading()
    spawn(two.run())
    await until(lambda: bool(two.uid))
    assert one.uid == two.uid == api.store.objects["leases"]["kube-system/fleetgate"]["metadata"]["uid"]
    assert answers == [two.uid]
    assert not two.is_leader
