"""Events on Ingresses: each loss and return once, never a flood, and in the end always what holds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controlplane.kube.client import open_client
from controlplane.kube.events import EventRecorder, EventSubject
from controlplane.observe.shortages import ClusterShare, ServiceShares
from controlplane.observe.unavailable import UnavailableClusters
from controlplane.report.failovers import ROOM, FailoverEvents, served_elsewhere
from tests.support.clock import FakeClock
from tests.support.fakeapi import FakeApi
from tests.support.waiting import until

WEB = ("demo", "web")


def reduced(reason: str = "breaker_open", effective: float = 0.0, *, served: bool = True) -> ServiceShares:
    clusters = {"a": ClusterShare(0.2, 1.0 - effective), "b": ClusterShare(0.8, effective, reason)}
    return ServiceShares(clusters, served)


class Desk:
    """Events of one replica; `see` is what it finds out at the time of the clock."""

    def __init__(self, recorder: EventRecorder, clock: FakeClock) -> None:
        self.recorder, self.clock = recorder, clock
        self.events = FailoverEvents(recorder, self.subject, lambda pair: None)
        self.ingresses = {WEB}
        self.served: dict[tuple[str, str], int] = {}

    def subject(self, ingress: tuple[str, str]) -> EventSubject | None:
        if ingress not in self.ingresses:
            return None
        return EventSubject("networking.k8s.io/v1", "Ingress", *ingress, f"uid of {ingress[1]}")

    def see(self, *, leading: bool = True, after: float = 1.0, **services: ServiceShares) -> None:
        """`services` lack something on the Ingress `web`; none of them: all is well."""
        self.clock.now_s += after
        away = {(service, "b"): each.clusters["b"].reason for service, each in services.items()}
        short = {WEB: dict(services)} if services else {}
        now = self.clock._now().timestamp()
        self.events.tell(UnavailableClusters(now, away, {}, short, self.served), leading=leading)

    def recover(self) -> None:
        """See that all is well, for long enough to believe it."""
        for _ in range(4):
            self.see()


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as server:
        yield server


@pytest.fixture
async def desk(api: FakeApi) -> AsyncIterator[Desk]:
    async with replica(api, FakeClock()) as made:
        yield made


class replica:
    """A replica of the gateway; leaving it is its death."""

    def __init__(self, api: FakeApi, clock: FakeClock) -> None:
        self._api, self._clock = api, clock

    async def __aenter__(self) -> Desk:
        self._client = await open_client(self._api.kubeconfig(), clock=self._clock.clock)
        recorder = EventRecorder(self._client, "me", clock=self._clock.clock)
        self._task = asyncio.create_task(recorder.run())
        return Desk(recorder, self._clock)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close()


def told(api: FakeApi) -> dict[str, tuple[int, str]]:
    """Return count and message by reason."""
    found: Any = api.store.objects["events"].values()
    reasons = Counter(event["reason"] for event in found)
    assert set(reasons.values()) <= {1}, reasons
    return {event["reason"]: (event["count"], event["message"]) for event in found}


async def written(desk: Desk) -> None:
    await until(lambda: desk.recorder.pending == 0)


async def test_a_loss_and_a_return_are_an_event_each(api: FakeApi, desk: Desk) -> None:
    for _ in range(5):
        desk.see(x=reduced())
    await written(desk)
    desk.recover()
    await written(desk)
    assert told(api) == {
        "ClusterFailedOver": (
            1,
            "b does not get its 80 % of service x: the breaker of the cluster is open; a serves 100 %",
        ),
        "ClusterReturned": (1, "b gets its 80 % of service x again after 5.0 s"),
    }


async def test_services_of_an_ingress_are_told_in_one_event(api: FakeApi, desk: Desk) -> None:
    desk.see(x=reduced(), y=reduced())
    await written(desk)
    assert told(api)["ClusterFailedOver"][1].endswith("; the same for y")


async def test_where_no_cluster_serves_the_event_has_another_reason(api: FakeApi, desk: Desk) -> None:
    desk.see(x=reduced(effective=0.8, served=False))
    await written(desk)
    assert told(api).keys() == {"NoClusterServes"}


async def test_a_share_that_grows_is_no_return_yet(api: FakeApi, desk: Desk) -> None:
    desk.see(x=reduced())
    desk.see(x=reduced("ramping", 0.4))
    await written(desk)
    assert told(api).keys() == {"ClusterFailedOver"}
    # Its share is the whole one, but its breaker has not closed: the timeline has no end yet
    now = desk.clock._now().timestamp()
    desk.events.tell(UnavailableClusters(now, {("x", "b"): "ramping"}), leading=True)
    await written(desk)
    assert told(api).keys() == {"ClusterFailedOver"}
    desk.recover()
    await written(desk)
    assert told(api).keys() == {"ClusterFailedOver", "ClusterReturned"}


async def test_a_return_that_lasts_a_moment_is_none(api: FakeApi, desk: Desk) -> None:
    """New endpoints are known at once, that their share has yet to grow with the next report."""
    desk.see(x=reduced("no_endpoints"))
    desk.see()
    desk.see(x=reduced("ramping", 0.1))
    await written(desk)
    assert told(api).keys() == {"ClusterFailedOver"}
    desk.recover()
    await written(desk)
    assert {reason: count for reason, (count, _) in told(api).items()} == {
        "ClusterFailedOver": 1,
        "ClusterReturned": 1,
    }
    assert told(api)["ClusterReturned"][1].endswith("after 3.0 s")


async def test_a_return_that_turns_out_to_have_begun_only_is_told_at_its_end(
    api: FakeApi, desk: Desk
) -> None:
    desk.see(x=reduced("no_endpoints"))
    desk.see()
    for _ in range(5):
        desk.clock.now_s += 1
        now = desk.clock._now().timestamp()
        desk.events.tell(UnavailableClusters(now, {("x", "b"): "ramping"}), leading=True)
    await written(desk)
    assert told(api).keys() == {"ClusterFailedOver"}
    desk.recover()
    await written(desk)
    assert told(api)["ClusterReturned"][1].endswith("after 7.0 s")


async def test_a_cluster_that_lacks_some_endpoints_has_not_failed_over(api: FakeApi, desk: Desk) -> None:
    desk.see(x=reduced("fewer_endpoints", 0.56))
    assert desk.recorder.pending == 0
    desk.see(x=reduced())
    for _ in range(4):
        desk.see(x=reduced("fewer_endpoints", 0.56))
    await written(desk)
    assert told(api)["ClusterReturned"][1].startswith("b gets 56 % of its 80 % of service x again")


async def test_new_rules_that_take_the_share_away_are_no_return(api: FakeApi, desk: Desk) -> None:
    desk.see(x=reduced())
    now = desk.clock._now().timestamp()
    desk.events.tell(UnavailableClusters(now, {("x", "b"): "breaker_open"}), leading=True)
    desk.recover()
    await written(desk)
    assert told(api).keys() == {"ClusterFailedOver"}


async def test_a_cluster_that_flaps_is_told_once_in_five_minutes(api: FakeApi, desk: Desk) -> None:
    for _ in range(40):
        desk.see(x=reduced())
        desk.recover()
        await written(desk)
    assert {reason: count for reason, (count, _) in told(api).items()} == {
        "ClusterFailedOver": 1,
        "ClusterReturned": 1,
    }
    assert len(api.seen("create events")) == 2
    assert len(api.seen("patch events")) == 0


async def test_the_last_word_is_what_holds(api: FakeApi, desk: Desk) -> None:
    """A loss that could not be told, for one was told lately, is told when it may be; its number grows."""
    desk.see(x=reduced())
    desk.recover()
    await written(desk)
    for _ in range(330):
        desk.see(y=reduced())
    await written(desk)
    count, message = told(api)["ClusterFailedOver"]
    assert (count, "of service y" in message) == (2, True)
    desk.recover()
    desk.recover()
    await written(desk)
    assert told(api)["ClusterReturned"][0] == 2
    assert "of service y" in told(api)["ClusterReturned"][1]


async def test_only_the_leader_tells_and_the_next_one_goes_on_from_there(api: FakeApi, desk: Desk) -> None:
    async with replica(api, desk.clock) as next_one:
        desk.see(x=reduced())
        next_one.see(after=0.0, leading=False, x=reduced())
        await written(desk)
        assert next_one.recorder.pending == 0
        next_one.see(x=reduced())  # it leads now: told already
        await written(next_one)
        assert told(api)["ClusterFailedOver"][0] == 1
        next_one.recover()
        await written(next_one)
        assert told(api)["ClusterReturned"][0] == 1


async def test_a_failover_that_a_new_leader_sees_anew_is_counted(api: FakeApi, desk: Desk) -> None:
    desk.see(x=reduced())
    await written(desk)
    async with replica(api, desk.clock) as next_one:
        next_one.see(after=60.0, x=reduced())
        await written(next_one)
        assert told(api)["ClusterFailedOver"][0] == 2


async def test_a_failover_that_ended_while_another_replica_led_is_not_told(api: FakeApi, desk: Desk) -> None:
    desk.see(leading=False, x=reduced())
    desk.see(leading=False)
    desk.recover()
    assert desk.recorder.pending == 0


async def test_a_flood_leaves_room_for_findings_and_is_told_bit_by_bit(api: FakeApi) -> None:
    clock = FakeClock(auto=False)  # nothing is written
    async with replica(api, clock) as desk:
        names = [("demo", f"web-{number}") for number in range(10_000)] + [("other", "web")]
        desk.ingresses = {*names}
        short = {name: {"x": reduced()} for name in names}
        now = clock._now().timestamp()
        for _ in range(3):
            desk.events.tell(UnavailableClusters(now, {("x", "b"): "breaker_open"}, {}, short), leading=True)
        assert (desk.recorder.pending_in("demo"), desk.recorder.pending_in("other")) == (ROOM, 1)
        assert desk.recorder.counters.dropped == 0
        while desk.recorder.pending_in("demo"):
            desk.recorder._turns.take()
        desk.events.tell(UnavailableClusters(now, {("x", "b"): "breaker_open"}, {}, short), leading=True)
        assert desk.recorder.pending_in("demo") == ROOM


async def test_an_ingress_that_is_gone_gets_no_event(desk: Desk) -> None:
    desk.ingresses.clear()
    desk.see(x=reduced())
    desk.recover()
    assert desk.recorder.pending == 0


def test_requests_that_were_planned_elsewhere_are_served_elsewhere_too() -> None:
    """Only the first requests are tried again; those after them never go to the cluster that is away."""
    before = {("x", "a"): 20, ("x", "b"): 80, ("y", "a"): 7}
    after = {("x", "a"): 70, ("x", "b"): 80, ("y", "a"): 9, ("x", ""): 3}
    assert served_elsewhere("b", {"x": 0.8}, before, after) == 40
    assert served_elsewhere("b", {"x": 0.8}, before, before) == 0
    assert served_elsewhere("b", {"x": 0.8, "y": 0.5}, before, after) == 41
    assert served_elsewhere("b", {"x": 0.8}, {}, {("x", "a"): 20, ("x", "b"): 90}) == 0


async def test_a_return_counts_what_other_clusters_served(api: FakeApi, desk: Desk) -> None:
    desk.served = {("x", "a"): 100, ("x", "b"): 400}
    desk.see(x=reduced())
    await written(desk)
    desk.served = {("x", "a"): 150, ("x", "b"): 400}
    desk.recover()
    await written(desk)
    assert told(api)["ClusterReturned"][1].endswith("; 40 requests served by other clusters, 0 lost")
