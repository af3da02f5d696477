"""A snapshot reaches all workers only after one of them has proved it."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from controlplane.publish import endpoint_delta
from controlplane.publish.dispatch import TRIAL_PATIENCE_S, Dispatcher
from controlplane.publish.rollout import Rollout
from controlplane.publish.session import Session
from controlplane.supervisor.hangs import PERIOD_S, RUNNING
from controlplane.supervisor.slot import STACK_PATIENCE_S
from loadtest.ports import free_port
from proxy.model.channel import Apply, EndpointsChanged, Hello, to_worker_framer
from proxy.model.codec import decode_snapshot
from proxy.model.snapshot import SCHEMA, Snapshot
from tests.support.dataplane import applied, fetch, running, snapshot
from tests.support.waiting import until


async def test_a_refused_snapshot_leaves_the_last_good_one_on_every_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKEWORKER_NACK", "bad")
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        plane.publish(snapshot(2, port, route="shop/bad/0/0"))
        await until(lambda: plane.publisher.rejection)
        assert plane.publisher.rejection is not None
        assert plane.publisher.rejection.version == 2
        assert plane.publisher.rejection.reason == "told to refuse it"
        assert plane.publisher.rejected_total == 1
        assert {(await fetch(port))[2] for _ in range(20)} == {1}
        plane.publish(snapshot(3, port, route="shop/web/0/1"))
        await applied(plane, 3)
        assert plane.publisher.rejection is None


async def test_endpoints_stay_fresh_while_the_rules_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKEWORKER_NACK", "bad")
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        plane.publish(snapshot(2, port, route="shop/bad/0/0", pods=("10.0.0.2",)))
        await until(lambda: plane.publisher.rejection)
        plane.publish(snapshot(3, port, route="shop/bad/0/0", pods=("10.0.0.3",)))
        for stats in await plane.publisher.collect():
            assert stats.version == 3
            assert {endpoint.address for endpoint in stats.endpoints} == {"10.0.0.3"}
        assert plane.publisher.snapshot is not None
        assert plane.publisher.snapshot.routes == snapshot(1, port).routes
        assert (plane.publisher.snapshot.version, plane.publisher.rules_version) == (3, 1)
        assert plane.publisher.rejected_total == 1


async def test_a_snapshot_that_kills_workers_is_given_up_and_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKEWORKER_CRASH", "poison")
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        plane.publish(snapshot(2, port, route="shop/poison/0/0"))
        while plane.publisher.rejection is None:
            with contextlib.suppress(ConnectionResetError):  # in flight on the worker that died
                assert (await fetch(port))[2] == 1
        assert plane.publisher.rejection.reason == "2 workers died while they applied it"
        await applied(plane, 1)


async def test_a_worker_that_hangs_over_a_snapshot_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        first = plane.supervisor.views()[0].pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        plane.publish(snapshot(2, port, route="shop/web/0/1"))
        await until(lambda: [v.applied_version for v in plane.publisher.workers() if v.worker == 1] == [2], 4)
        await applied(plane, 2)


async def test_a_snapshot_that_makes_workers_spin_is_given_up_after_two_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKEWORKER_SPIN", "poison")
    port = free_port()
    async with running(tmp_path, workers=3) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        before = [view.pid for view in plane.supervisor.views()]
        plane.publish(snapshot(2, port, route="shop/poison/0/0"))
        await until(lambda: plane.publisher.rejection, 20)
        await applied(plane, 1)
        after = [view.pid for view in plane.supervisor.views()]
        assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 2
        assert [view.reasons["hang_cpu"] for view in plane.supervisor.views()].count(1) == 2


def test_a_spinning_worker_is_killed_before_a_second_one_gets_the_trial() -> None:
    assert RUNNING.cpu_s + 2 * PERIOD_S + STACK_PATIENCE_S < TRIAL_PATIENCE_S


async def test_changes_of_endpoints_only_are_sent_as_a_delta(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        plane.publish(snapshot(2, port, pods=("10.0.0.1", "10.0.0.2")))
        await plane.publisher.collect()
        await applied(plane, 2)
        assert plane.publisher.applied_count() == 2


async def test_each_change_has_a_number_of_its_own(tmp_path: Path) -> None:
    """Verdicts of health checks change the endpoints of the newest snapshot, which has a number already."""
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1))
        await applied(plane, 1)
        assert plane.publisher.publish(snapshot(1, pods=("10.0.0.2",)))
        assert plane.publisher.wanted_version == 2
        await applied(plane, 2)


async def test_a_snapshot_says_how_many_workers_share_its_limits(tmp_path: Path) -> None:
    async with running(tmp_path, workers=2) as plane:
        plane.publish(snapshot(1))
        await until(lambda: plane.publisher.store_health.saved_version == 1)
        assert plane.publisher.snapshot is not None
        assert plane.publisher.snapshot.workers == 2
        assert decode_snapshot((tmp_path / "snapshot.json").read_bytes()).workers == 2
    async with running(tmp_path, workers=1) as plane:
        assert plane.publisher.snapshot is not None
        assert plane.publisher.snapshot.workers == 1
        assert not plane.publisher.publish(snapshot(1))


def test_another_number_of_workers_is_no_change_of_endpoints() -> None:
    assert endpoint_delta(snapshot(1), replace(snapshot(2), workers=2)) is None


def test_endpoints_that_return_during_a_trial_have_their_number_afterwards() -> None:
    rollout = Rollout()
    rollout.resume(snapshot(1))
    rollout.want(snapshot(2, route="shop/web/0/1"))
    rollout.want(snapshot(3, route="shop/web/0/1", pods=("10.0.0.3",)))
    rollout.want(snapshot(4, route="shop/web/0/1"))
    assert rollout.good is not None
    assert rollout.good.version == 1  # not all of a newer one is in use
    assert rollout.promote() == ()
    assert (rollout.good.version, rollout.rules_version) == (4, 2)


async def test_a_number_without_endpoints_is_told_to_the_workers() -> None:
    dispatcher = Dispatcher(lambda: None)
    dispatcher.resume(snapshot(1))
    worker = Listening(0)
    dispatcher.joined(0, worker)
    dispatcher.publish(snapshot(2, route="shop/web/0/1"))
    dispatcher.publish(snapshot(3, route="shop/web/0/1", pods=("10.0.0.3",)))
    dispatcher.publish(snapshot(4, route="shop/web/0/1"))
    dispatcher.acknowledged(worker, 2)
    assert worker.told == [1, 1, 4]


async def test_a_worker_that_comes_back_is_known_to_serve_what_it_says() -> None:
    dispatcher = Dispatcher(lambda: None)
    dispatcher.resume(snapshot(5))
    worker = Listening(0, applied=5)
    dispatcher.joined(0, worker)
    assert dispatcher.applied_count() == 1
    assert dispatcher.serves(5)


async def test_a_version_is_served_once_every_worker_that_can_has_acknowledged_it() -> None:
    dispatcher = Dispatcher(lambda: None)
    assert not dispatcher.serves(1)
    dispatcher.resume(snapshot(1))
    workers = [Listening(number) for number in range(3)]
    for number, worker in enumerate(workers):
        dispatcher.joined(number, worker)
    workers[0].took_ack(1)
    assert not dispatcher.serves(1)
    dispatcher.left(1, workers[1])  # died: its successor will serve it or nothing
    assert not dispatcher.serves(1)
    workers[2].refused_version = 1  # while others have taken it: it must not hold up what is said of them
    assert dispatcher.serves(1)
    dispatcher.left(0, workers[0])
    assert not dispatcher.serves(1)


async def test_a_snapshot_that_says_nothing_new_is_not_sent(tmp_path: Path) -> None:
    async with running(tmp_path, workers=1) as plane:
        assert plane.publisher.publish(snapshot(1))
        assert not plane.publisher.publish(snapshot(2))
        await applied(plane, 1)


async def test_the_snapshot_is_on_disk_once_all_workers_serve_it(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await until(lambda: plane.publisher.store_health.saved_version == 1)
        stored = tmp_path / "snapshot.json"
        assert decode_snapshot(stored.read_bytes()) == replace(snapshot(1, port), workers=2)
        assert stored.stat().st_mode & 0o777 == 0o600
        plane.publish(snapshot(2, port, pods=("10.0.0.9",)))
        await until(lambda: plane.publisher.store_health.saved_version == 2)
    async with running(tmp_path) as plane:
        await applied(plane, 2)
        await fetch(port)


async def test_a_snapshot_that_cannot_be_saved_is_counted_and_served(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, workers=1) as plane:
        (tmp_path / "snapshot.json").mkdir()
        plane.publish(snapshot(1, port))
        await until(lambda: plane.publisher.store_health.failures == 1)
        assert plane.publisher.store_health.error
        await fetch(port)
        (tmp_path / "snapshot.json").rmdir()


@pytest.mark.parametrize("content", [b"", b"{", b'{"version":1,"schema":99}\n'])
async def test_an_unusable_file_is_ignored_at_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "snapshot.json").write_bytes(content)
    async with running(tmp_path, workers=1) as plane:
        assert plane.publisher.snapshot is None
        plane.publish(snapshot(1))
        await applied(plane, 1)


def test_endpoints_do_not_wait_for_a_trial() -> None:
    rollout = Rollout()
    rollout.resume(snapshot(1))
    assert rollout.want(snapshot(2, route="shop/web/0/1")) == ()
    newer = snapshot(3, route="shop/web/0/1", pods=("10.0.0.3",))
    assert rollout.want(newer) == newer.services
    assert rollout.good == replace(snapshot(1), services=newer.services)
    assert rollout.trial == snapshot(2, route="shop/web/0/1")
    assert rollout.promote() == newer.services  # the trial, just acknowledged, has the older ones
    assert rollout.good == newer


def test_endpoints_that_change_with_the_rules_go_to_all_workers_at_once() -> None:
    rollout = Rollout()
    rollout.resume(snapshot(1))
    both = snapshot(2, route="shop/web/0/1", pods=("10.0.0.2",))
    assert rollout.want(both) == both.services
    assert rollout.trial == both
    assert rollout.promote() == ()


class Listening(Session):
    """A connected worker of which only what it is sent is of interest."""

    def __init__(self, worker: int, applied: int = 0) -> None:
        self.sent: list[int] = []
        self.told: list[int] = []  # versions of endpoints
        super().__init__(cast(Any, None))  # it never says anything
        self.hello = Hello(worker, worker, SCHEMA, "", applied)
        self._to_worker = to_worker_framer()

    def send(self, data: bytes) -> None:
        messages = self._to_worker.feed(data)
        self.sent += [m.snapshot.version for m in messages if isinstance(m, Apply)]
        self.told += [m.version for m in messages if isinstance(m, EndpointsChanged)]


async def test_a_repeated_snapshot_does_not_undo_the_trial() -> None:
    dispatcher = Dispatcher(lambda: None)
    dispatcher.resume(snapshot(1))
    workers = [Listening(0), Listening(1)]
    for number, worker in enumerate(workers):
        dispatcher.joined(number, worker)
    dispatcher.publish(snapshot(2, route="shop/web/0/1"))
    dispatcher.repeat()
    assert [worker.sent for worker in workers] == [[1, 2, 2], [1, 1]]
    dispatcher.close()


def test_versions_are_no_content() -> None:
    assert endpoint_delta(snapshot(1, 80), snapshot(2, 80)) == ()
    assert endpoint_delta(snapshot(1, 80), snapshot(1, 81)) is None
    assert endpoint_delta(Snapshot(1), snapshot(1)) is None
    changed = endpoint_delta(snapshot(1, 80), snapshot(2, 80, pods=("10.0.0.2",)))
    assert changed is not None
    assert [service.id for service in changed] == ["shop/web:80"]
