"""The watch over silent endpoints, on a clock of its own: which are suspected, probed, and left."""

import asyncio
from collections.abc import AsyncIterator
from math import inf
from types import SimpleNamespace
from typing import cast

import pytest
import pytest_asyncio

from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.cluster import LiveCluster
from proxy.upstream.connections.abandoned import LivenessRequest
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.detection.corroboration import Corroboration
from proxy.upstream.detection.liveness import BEGUN_S, LivenessProbe
from proxy.upstream.detection.prober import Prober
from proxy.upstream.detection.shared_ejections import SharedEjections
from proxy.upstream.detection.stalls import PASSED_OVER, REHEARSED_AFTER, TICK_S, StallWatch
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.board import MEMORY_BYTES, Board
from proxy.upstream.evidence.histories import Histories
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.service import Services
from tests.support.endpoints import cluster_of, fail
from tests.support.still_clock import StillClock

NOW = 1000.0


def kind(*took_s: float, times: int = 1) -> Kind:
    found = Kind(Histories(), b"%r" % (took_s,))
    for _ in range(times):
        for each in took_s:
            found.note(each, NOW, is_sample=True)
    return found


FAST, SLOW, NEW = kind(0.001, times=50), kind(2.0, times=50), kind(0.001)


class Request:
    """A connection with a request that nothing has come of; hashable, as connections are."""

    def __init__(self, endpoint: LiveEndpoint, since: float, of: Kind | None, *, may_move: bool) -> None:
        self.endpoint = endpoint
        self.since = since
        self.served = 1
        self.kind = of
        self.is_gone = False
        self.moved = 0
        self.was_aborted = False
        self.exchange: object | None = SimpleNamespace(on_stalled=self._on_stalled)
        self._may_move = may_move

    def is_waiting(self) -> bool:
        return not self.is_gone

    def awaits(self) -> Kind | None:
        return self.kind

    def abort(self) -> None:
        self.was_aborted = True
        self.leave()

    def leave(self) -> None:
        self.is_gone = True
        self.exchange = None

    def _on_stalled(self) -> bool:
        self.moved += self._may_move
        if self._may_move:
            self.kind = None  # a sink stays behind
        return self._may_move


class OtherWorker:
    """What another worker of the gateway writes on the board, all the time or not any more."""

    def __init__(self, memory: memoryview, worker: int) -> None:
        self._board = Board(memory, worker)
        self.heard = -inf
        self.busy: list[float] = []
        self.is_late = False

    def expire(self, now: float) -> None:
        for key in self._board.wanted(now):
            if not self.is_late:
                self._board.tell(key, self.heard, self.busy, now)


class Watched:
    """The endpoints of one service, and a watch over them; probes go nowhere until they are answered."""

    def __init__(self, *, are_pods: bool = True) -> None:
        self.asked: list[LivenessProbe] = []
        self.clock = StillClock(NOW)
        services = Services(clock=self.clock)
        groups = [
            ClusterEndpoints("c1", (Endpoint("::1", 1), Endpoint("::1", 3)), are_pods),
            ClusterEndpoints("c2", (Endpoint("::1", 2),), are_pods),
        ]
        self.service = Service("demo/s:80", tuple(groups))
        self.services = services
        services.change(self.service)
        self.pods = {endpoint.port: endpoint for endpoint in services.endpoints()}
        connector = cast(Connector, SimpleNamespace(connect_now=self._connect))
        prober = cast(Prober, SimpleNamespace(probe_after=self._probe_after))
        self.memory = memoryview(bytearray(MEMORY_BYTES))
        self.corroboration = Corroboration(Board(self.memory, 0))
        loop, ejections = asyncio.get_running_loop(), SharedEjections()
        self.watch = StallWatch(loop, services, connector, prober, self.corroboration, ejections)
        self.ejected: list[LiveEndpoint] = []
        self.others: list[OtherWorker] = []

    def _connect(self, _endpoint: LiveEndpoint, probe: LivenessProbe) -> None:
        probe.asked = self.clock.time
        self.asked.append(probe)

    def _probe_after(self, endpoint: LiveEndpoint, _delay_s: float) -> None:
        self.ejected.append(endpoint)

    def wait(self, port: int, of: Kind | None = FAST, *, may_move: bool = True) -> Request:
        endpoint = self.pods[port]
        request = Request(endpoint, self.clock.time, of, may_move=may_move)
        endpoint.pool.streams().add(cast(UpstreamConnection, request))
        endpoint.in_flight += 1
        if not endpoint.is_watched:
            self.watch.watch(endpoint)
        return request

    def cluster(self, port: int) -> LiveCluster:
        return cluster_of(self.services, self.pods[port])

    def shows(self, port: int, at_a_time: int) -> None:
        self.pods[port].observed().concurrency.shown = at_a_time

    def pass_time(self, seconds: float) -> None:
        end = self.clock.time + seconds
        while self.clock.time < end - 1e-9:
            self.clock.time = min(self.clock.time + TICK_S, end)
            self.corroboration.expire(self.clock.time)
            for worker in self.others:
                worker.expire(self.clock.time)
            self.watch.look(self.clock.time)

    def answer(self, port: int) -> None:
        self.pods[port].heard = self.clock.time


@pytest_asyncio.fixture
async def watched() -> AsyncIterator[Watched]:
    found = Watched()
    yield found
    found.watch.stop()


async def test_nothing_happens_before_a_tenth_of_a_second(watched: Watched) -> None:
    watched.wait(1)
    watched.pass_time(0.08)
    assert not watched.pods[1].is_quiet
    assert not watched.asked


async def test_a_silent_endpoint_is_quiet_and_is_probed_once_until_it_answers(watched: Watched) -> None:
    watched.wait(1)
    watched.pass_time(4.0)
    assert watched.pods[1].is_quiet
    assert watched.pods[1].state is State.HEALTHY
    assert len(watched.asked) == 1


async def test_probes_that_are_answered_are_half_a_second_apart(watched: Watched) -> None:
    watched.wait(1)
    for _ in range(100):
        watched.pass_time(0.02)
        for probe in watched.asked:
            if not probe.is_over:
                watched.answer(1)
                probe.is_over = True
    assert 3 <= len(watched.asked) <= 4
    assert watched.pods[1].state is State.HEALTHY


async def test_any_byte_ends_the_suspicion(watched: Watched) -> None:
    watched.wait(1)
    watched.pass_time(0.2)
    watched.answer(1)
    watched.pass_time(0.02)
    assert not watched.pods[1].is_quiet


async def test_a_request_that_is_slow_by_its_kind_is_no_suspicion(watched: Watched) -> None:
    watched.wait(1, SLOW)
    watched.pass_time(6.0)
    assert not watched.pods[1].is_quiet
    assert not watched.asked


async def test_stuck_requests_move_and_slow_or_new_ones_stay(watched: Watched) -> None:
    watched.shows(1, 4)
    slow, new = watched.wait(1, SLOW), watched.wait(1, NEW)
    watched.pass_time(0.02)
    stuck = []
    for _ in range(3):
        stuck.append(watched.wait(1))
        watched.pass_time(0.001)
    watched.pass_time(0.2)
    assert watched.pods[1].state is State.HEALTHY
    watched.pass_time(0.08)
    assert watched.pods[1].state is State.STALLED
    assert [each.moved for each in stuck] == [1, 1, 1]
    assert [each.was_aborted for each in stuck] == [
        False,
        True,
        True,
    ]  # one connection stays, to hear the answer
    assert (slow.moved, new.moved) == (0, 0)
    late = watched.wait(1)
    watched.pass_time(0.12)
    assert late.moved == 1  # it was on its way


@pytest.mark.parametrize(
    ("shown", "before", "moves"), [(1, 0, 0), (2, 0, 1), (2, 1, 0), (4, 4, 0), (6, 4, 1)]
)
async def test_nothing_moves_where_the_endpoint_may_be_at_work(
    watched: Watched, shown: int, before: int, moves: int
) -> None:
    watched.shows(1, shown)
    for _ in range(before):
        watched.wait(1, SLOW)
    watched.pass_time(0.02)
    fast = watched.wait(1)
    watched.pass_time(1.0)
    assert fast.moved == moves
    assert (watched.pods[1].state is State.STALLED) is bool(moves)


async def test_a_probe_takes_no_place_before_the_requests_that_follow_it(watched: Watched) -> None:
    watched.shows(1, 3)
    watched.wait(1, SLOW)
    watched.pass_time(0.02)
    probe = watched.wait(1, None)
    probe.exchange = LivenessRequest(cast(UpstreamConnection, probe), lambda _is_answered: None)
    watched.pass_time(0.001)
    fast = watched.wait(1)
    watched.pass_time(1.0)
    assert fast.moved == 1


async def test_requests_that_were_given_up_may_fill_the_endpoint(watched: Watched) -> None:
    watched.shows(1, 4)
    for _ in range(4):
        watched.pods[1].observed().given_up.add(NOW, float("inf"), NOW)
    watched.pass_time(0.02)
    fast = watched.wait(1)
    watched.pass_time(1.0)
    assert not fast.moved


async def test_a_post_waits_and_the_endpoint_is_left(watched: Watched) -> None:
    watched.shows(1, 4)
    post = watched.wait(1, may_move=False)
    watched.pass_time(0.4)
    assert not post.moved
    assert watched.pods[1].state is State.STALLED


async def test_five_seconds_turn_new_requests_away_and_move_nothing(watched: Watched) -> None:
    waiting = [watched.wait(1), watched.wait(1, NEW), watched.wait(1, NEW)]
    watched.pass_time(5.0)
    assert watched.pods[1].state is State.HEALTHY
    watched.pass_time(0.2)
    assert watched.pods[1].state is State.STALLED
    assert not any(each.moved for each in waiting)
    assert watched.pods[1] not in watched.cluster(1).live


async def test_a_known_slow_request_explains_more_than_five_seconds(watched: Watched) -> None:
    slow = kind(8.0, times=1)
    watched.wait(1, slow)
    watched.pass_time(0.02)
    watched.wait(1)
    watched.pass_time(12.0)
    assert watched.pods[1].state is State.HEALTHY
    watched.pass_time(5.0)
    assert watched.pods[1].state is State.STALLED


async def test_one_answer_brings_an_endpoint_back(watched: Watched) -> None:
    watched.wait(1)
    watched.pass_time(5.3)
    assert watched.pods[1].state is State.STALLED
    watched.answer(1)
    watched.pass_time(0.02)
    assert watched.pods[1].state is State.HEALTHY
    assert watched.pods[1] in watched.cluster(1).live


async def test_after_a_wrong_verdict_nothing_moves_before_five_seconds(watched: Watched) -> None:
    watched.shows(1, 4)
    first = watched.wait(1)
    watched.pass_time(0.4)
    assert first.moved == 1
    watched.answer(1)  # it had been at work, or had paused
    first.leave()
    watched.pass_time(1.0)
    second = watched.wait(1)
    watched.pass_time(4.9)
    assert not second.moved
    watched.pass_time(0.4)
    assert second.moved == 1


async def test_an_endpoint_that_was_away_for_long_is_judged_as_before(watched: Watched) -> None:
    watched.shows(1, 4)
    first = watched.wait(1)
    watched.pass_time(8.0)
    watched.answer(1)
    first.leave()
    watched.pass_time(1.0)
    second = watched.wait(1)
    watched.pass_time(0.4)
    assert second.moved == 1


async def test_without_another_endpoint_there_is_nothing_to_be_gained(watched: Watched) -> None:
    for port in (2, 3):
        fail(watched.services, watched.pods[port])
    watched.shows(1, 4)
    fast = watched.wait(1)
    watched.pass_time(6.0)
    assert not fast.moved
    assert watched.pods[1].state is State.HEALTHY


async def test_endpoints_that_are_all_quiet_wait_for_something_they_share(watched: Watched) -> None:
    for port in watched.pods:
        watched.shows(port, 4)
    waiting = [watched.wait(port) for port in watched.pods]
    watched.pass_time(6.0)
    assert not any(each.moved for each in waiting)


async def test_a_peer_with_a_slow_request_can_serve(watched: Watched) -> None:
    fail(watched.services, watched.pods[3])
    watched.shows(1, 4)
    watched.wait(2, SLOW)
    fast = watched.wait(1)
    watched.pass_time(0.4)
    assert fast.moved == 1


async def test_addresses_that_are_no_pods_are_suspected_and_never_convicted() -> None:
    watched = Watched(are_pods=False)
    watched.shows(1, 9)
    fast = watched.wait(1)
    watched.pass_time(20.0)
    assert watched.pods[1].is_quiet
    assert watched.pods[1].state is State.HEALTHY
    assert not fast.moved
    watched.watch.stop()


async def test_an_endpoint_that_has_left_finishes_its_requests_and_is_not_probed(watched: Watched) -> None:
    watched.shows(1, 4)
    fast = watched.wait(1)
    watched.pass_time(0.2)
    watched.services.change(Service("demo/s:80", ()))
    assert watched.pods[1].state is State.RETIRED
    watched.pass_time(20.0)
    assert not fast.moved
    assert len(watched.asked) == 1


async def test_an_endpoint_that_passes_over_probes_cannot_be_judged_by_them(watched: Watched) -> None:
    """Programs that do not answer `OPTIONS *` at all are known by answering other requests."""
    watched.shows(1, 4)
    for _ in range(PASSED_OVER):
        request = watched.wait(1)
        watched.pass_time(0.2)
        watched.answer(1)
        request.leave()
        watched.pass_time(0.6)
        watched.wait(1).leave()
    slow = watched.wait(1, NEW)
    fast = watched.wait(1)
    watched.pass_time(20.0)
    assert watched.pods[1].state is State.HEALTHY
    assert (fast.moved, slow.moved) == (0, 0)


async def test_a_probe_that_is_passed_over_once_is_sent_again(watched: Watched) -> None:
    watched.shows(1, 4)
    first = watched.wait(1)
    watched.pass_time(0.2)
    watched.answer(1)
    first.leave()
    fast = watched.wait(1)
    watched.pass_time(1.0)
    assert len(watched.asked) == 2
    assert fast.moved == 1


async def test_another_workers_verdict_moves_nothing(watched: Watched) -> None:
    watched.shows(1, 4)
    fast = watched.wait(1)
    watched.watch.believe(watched.pods[1], stalled=True)
    assert watched.pods[1].state is State.STALLED
    watched.pass_time(0.08)
    assert not fast.moved


async def test_a_stalled_endpoint_without_requests_is_ejected_and_probed(watched: Watched) -> None:
    watched.watch.believe(watched.pods[1], stalled=True)
    assert watched.pods[1].state is State.EJECTED
    assert watched.ejected == [watched.pods[1]]


async def test_requests_that_are_still_being_sent_say_nothing(watched: Watched) -> None:
    watched.wait(1, None)
    watched.pass_time(9.0)
    assert not watched.asked


async def test_a_stalled_endpoint_serves_only_when_no_other_can(watched: Watched) -> None:
    pod, cluster = watched.pods[2], watched.cluster(2)
    cluster.stall(pod, NOW)
    assert (cluster.live, cluster.ejected, cluster.usable.is_only_ejected) == ([], [pod], True)
    cluster.revive(pod)
    assert (cluster.live, cluster.ejected) == ([pod], [])


async def test_a_worker_that_was_held_up_suspects_no_endpoint(watched: Watched) -> None:
    watched.shows(1, 4)
    fast = watched.wait(1)
    watched.pass_time(0.2)
    watched.clock.time += 9.0  # it did not listen
    watched.watch._tick()
    watched.pass_time(0.12)
    assert not fast.moved
    watched.pass_time(0.4)
    assert fast.moved == 1


async def test_an_endpoint_that_answers_another_worker_has_not_stopped(watched: Watched) -> None:
    watched.shows(1, 4)
    other = OtherWorker(watched.memory, 1)
    watched.others.append(other)
    fast = watched.wait(1)
    for _ in range(100):
        other.heard = watched.clock.time
        watched.pass_time(0.1)
    assert not fast.moved
    assert watched.pods[1].state is State.HEALTHY


@pytest.mark.parametrize(("others", "moves"), [(0, 1), (2, 1), (3, 0)])
async def test_requests_of_other_workers_may_fill_an_endpoint(
    watched: Watched, others: int, moves: int
) -> None:
    watched.shows(1, 4)
    other = OtherWorker(watched.memory, 1)
    other.busy = [NOW - 1.0 - n for n in range(others)]
    watched.others.append(other)
    fast = watched.wait(1)
    watched.pass_time(1.0)
    assert fast.moved == moves


async def test_nothing_moves_before_every_worker_has_answered(watched: Watched) -> None:
    watched.shows(1, 4)
    other = OtherWorker(watched.memory, 1)
    other.is_late = True
    watched.others.append(other)
    fast = watched.wait(1)
    watched.pass_time(2.0)
    assert not fast.moved
    other.is_late = False
    watched.pass_time(0.1)
    assert fast.moved == 1


async def test_a_worker_that_has_ended_is_not_waited_for(watched: Watched) -> None:
    watched.shows(1, 4)
    OtherWorker(watched.memory, 1).expire(watched.clock.time)
    fast = watched.wait(1)
    watched.pass_time(2.0)
    assert not fast.moved
    watched.pass_time(1.1)
    assert fast.moved == 1


async def test_requests_of_another_service_at_the_same_address_may_fill_it(watched: Watched) -> None:
    watched.shows(1, 2)
    watched.services.change(Service("demo/alias:80", (ClusterEndpoints("c1", (Endpoint("::1", 1),)),)))
    (alias,) = watched.services.get("demo/alias:80").endpoints()
    request = Request(alias, watched.clock.time - 1.0, SLOW, may_move=True)
    alias.pool.streams().add(cast(UpstreamConnection, request))
    alias.in_flight += 1
    watched.watch.watch(alias)
    fast = watched.wait(1)
    watched.pass_time(1.0)
    assert not fast.moved


async def test_both_probes_of_a_pair_end_with_the_endpoint_that_leaves(watched: Watched) -> None:
    pod = watched.pods[1]
    slow = watched.wait(1, SLOW)
    watched.pass_time(BEGUN_S)
    pod.requests = REHEARSED_AFTER
    pod.observed().took_s = 1.0
    pod.observed().concurrency.probed(0.0, 0.0, 0.001, [], was_idle=True)  # how long a probe takes is known
    pod.is_quiet = True
    watched.watch._tick()
    assert [probe.is_over for probe in watched.asked] == [False, False]
    services = Service("demo/s:80", (ClusterEndpoints("c1", (Endpoint("::1", 3),)),))
    watched.services.change(services)
    slow.leave()
    pod.in_flight = 0
    watched.watch._tick()
    assert [probe.is_over for probe in watched.asked] == [True, True]
    assert not pod.is_watched
