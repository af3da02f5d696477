"""Clusters that come back when their Ingress says so: after a time, or when an operator lets them."""

from collections.abc import Callable

import pytest

from proxy.model.actions import (
    Algorithm,
    Backend,
    Balance,
    Destination,
    Failback,
    HashKey,
    HashSource,
    Split,
    Sticky,
)
from proxy.model.channel import Hold
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.model.statistics import FailbackStats
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.plan import RoutePlan
from proxy.upstream.service import Services
from tests.support.endpoints import cluster_of, fail, readmit
from tests.support.snapshots import split
from tests.support.still_clock import StillClock
from tests.upstream.test_backends import BASE, SPARE, attempts, plan_of, tally
from tests.upstream.test_sticky import choose, id_of
from tests.upstream.test_sticky import port as port_of

WEB = "demo/web"
MANUAL = Failback(WEB, manual=True)
SLOWLY = Failback(WEB, delay_s=30.0, ramp_s=80.0)
HELD = Hold(WEB, BASE, "c1")


def asking(failback: Failback | None, weights: dict[str, int] | None = None) -> Split:
    meant = split(weights or {"c1": 50, "c2": 50})
    return Split(meant.mode, meant.shares, failback=failback)


class Gateway:
    """One endpoint, 1 and 2, in each of c1 and c2; time stands still, and then goes on in ticks."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.services = Services(clock=self.clock)
        self.endpoints(1, 2)

    def endpoints(self, *ports: int, service: str = BASE, failing: tuple[int, ...] = ()) -> None:
        """c1 has the odd ones, c2 the even ones."""
        clusters = [
            ClusterEndpoints(
                cluster, tuple(Endpoint("::1", p, failing=p in failing) for p in ports if p % 2 == odd)
            )
            for cluster, odd in (("c1", 1), ("c2", 0))
        ]
        self.services.change(Service(service, tuple(clusters)))

    def want(self, failback: Failback | None) -> RoutePlan:
        self.services.want_failbacks({BASE: {failback.ingress: failback}} if failback is not None else {})
        return plan_of(self.services, Backend(BASE), own=asking(failback))

    def away_for(self, seconds: float) -> None:
        """c1 is away, and comes back."""
        self.endpoints(2)
        self.pass_time(seconds)
        self.endpoints(1, 2)

    def pass_time(self, seconds: float) -> None:
        end = self.clock.time + seconds
        while self.clock.time < end:
            self.clock.time += 0.1
            self.services.recovery.expire(self.clock.time)

    def states(self) -> list[tuple[str, str, float, int]]:
        return [(s.cluster, s.state, s.part, round(s.left_s)) for s in self.services.failback_stats()]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def part(plan: RoutePlan, port: int = 1) -> float:
    return tally(plan, 1000)[port] / 1000


def test_after_a_delay_the_share_grows_in_eighths(gateway: Gateway) -> None:
    plan = gateway.want(SLOWLY)
    assert part(plan) == 0.5
    gateway.away_for(1.0)
    assert part(plan) == 0.0
    assert gateway.states() == [("c1", "delayed", 0.0, 30)]
    gateway.pass_time(29.5)
    assert part(plan) == 0.0
    gateway.pass_time(1.0)
    assert part(plan) == pytest.approx(1 / 9, abs=0.001)  # an eighth of a half beside a half
    assert gateway.states() == [("c1", "ramping", 0.125, 79)]
    gateway.pass_time(40.0)
    assert part(plan) == pytest.approx(5 / 13, abs=0.001)
    gateway.pass_time(40.0)
    assert part(plan) == 0.5
    assert gateway.states() == []


def test_a_cluster_that_fails_again_waits_again(gateway: Gateway) -> None:
    plan = gateway.want(SLOWLY)
    gateway.away_for(1.0)
    gateway.pass_time(60.0)
    assert 0.0 < part(plan) < 0.5
    gateway.away_for(1.0)
    assert part(plan) == 0.0
    assert gateway.states() == [("c1", "delayed", 0.0, 30)]


def test_a_delay_without_a_ramp_and_a_ramp_without_a_delay(gateway: Gateway) -> None:
    plan = gateway.want(Failback(WEB, delay_s=5.0))
    gateway.away_for(1.0)
    assert part(plan) == 0.0
    gateway.pass_time(5.2)
    assert part(plan) == 0.5
    plan = gateway.want(Failback(WEB, ramp_s=16.0))
    gateway.away_for(1.0)
    assert part(plan) == pytest.approx(1 / 9, abs=0.001)


def test_by_hand_it_stays_out_until_it_is_let_back(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.away_for(1.0)
    gateway.pass_time(3600.0)
    assert part(plan) == 0.0
    assert gateway.states() == [("c1", "held", 0.0, 0)]
    assert gateway.services.failbacks.take() == (HELD,)
    gateway.services.let_back((HELD,))
    assert part(plan) == pytest.approx(1 / 9, abs=0.001)
    gateway.pass_time(8.1)
    assert part(plan) == 0.5
    assert gateway.states() == []
    assert gateway.services.failbacks.take() == ()


@pytest.mark.parametrize(
    "fail",
    [
        lambda gateway: [fail(gateway.services, e) for e in gateway.services.endpoints() if e.port == 1],
        lambda gateway: gateway.endpoints(1, 2, failing=(1,)),
        lambda gateway: gateway.endpoints(2),
        lambda gateway: gateway.services.change(
            Service(BASE, (ClusterEndpoints("c2", (Endpoint("::1", 2),)),))
        ),
    ],
    ids=["ejected", "failing its checks", "without endpoints", "not named any more"],
)
def test_every_way_not_to_serve_counts(gateway: Gateway, fail: Callable[[Gateway], object]) -> None:
    plan = gateway.want(MANUAL)
    fail(gateway)
    gateway.endpoints(1, 2)
    for endpoint in gateway.services.endpoints():
        readmit(gateway.services, endpoint)
    assert part(plan) == 0.0
    assert gateway.services.failbacks.take() == (HELD,)


def stalled(gateway: Gateway) -> LiveEndpoint:
    (endpoint,) = [e for e in gateway.services.endpoints() if e.port == 1]
    cluster_of(gateway.services, endpoint).stall(endpoint, gateway.clock.time)
    return endpoint


@pytest.mark.parametrize("failback", [MANUAL, SLOWLY])
@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_pause_is_no_failure(gateway: Gateway, failback: Failback, is_given_up: bool) -> None:
    """A garbage collection, say: nothing is answered for a moment, and then everything is."""
    plan = gateway.want(failback)
    endpoint = stalled(gateway)
    if is_given_up:
        cluster_of(gateway.services, endpoint).give_up(endpoint)
    assert part(plan) == 0.0
    gateway.pass_time(1.8)
    assert part(plan) == 0.0
    if is_given_up:
        readmit(gateway.services, endpoint)
    else:
        cluster_of(gateway.services, endpoint).revive(endpoint)
    assert part(plan) == 0.5
    gateway.pass_time(5.0)
    assert part(plan) == 0.5
    assert gateway.states() == []
    assert gateway.services.failbacks.take() == ()


def test_silence_that_lasts_is_a_failure_at_that_time(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    endpoint = stalled(gateway)
    gateway.pass_time(2.3)
    assert gateway.services.failbacks.take() == (HELD,)
    cluster_of(gateway.services, endpoint).revive(endpoint)
    assert part(plan) == 0.0
    assert gateway.states() == [("c1", "held", 0.0, 0)]


def test_silence_beside_a_draining_endpoint_is_a_failure_too(gateway: Gateway) -> None:
    """Then the breaker of the cluster is closed: an endpoint serves there."""
    plan = gateway.want(MANUAL)
    leaving = ClusterEndpoints("c1", (Endpoint("::1", 1), Endpoint("::1", 3, draining=True)))
    gateway.services.change(Service(BASE, (leaving, ClusterEndpoints("c2", (Endpoint("::1", 2),)))))
    stalled(gateway)
    assert gateway.services.failbacks.take() == ()
    gateway.pass_time(2.3)
    assert gateway.services.failbacks.take() == (HELD,)
    assert part(plan) == 0.0


def test_a_cluster_that_did_not_serve_cannot_stall(gateway: Gateway) -> None:
    gateway.want(MANUAL)
    gateway.endpoints(1, 2, failing=(1,))
    assert gateway.services.failbacks.take() == (HELD,)
    gateway.services.let_back((HELD,))
    stalled(gateway)
    gateway.pass_time(5.0)
    assert gateway.services.failbacks.take() == ()


def test_one_endpoint_of_several_is_no_failure_of_the_cluster(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.endpoints(1, 2, 3, 5, 7)
    gateway.endpoints(1, 2, 3, 5, 7, failing=(1,))
    gateway.endpoints(1, 2)
    assert part(plan) == 0.5
    assert gateway.states() == []


def test_a_cluster_that_was_never_there_is_not_held(gateway: Gateway) -> None:
    gateway.endpoints(2)
    services = Services()
    services.change(Service(BASE, (ClusterEndpoints("c2", (Endpoint("::1", 2),)),)))
    services.want_failbacks({BASE: {WEB: MANUAL}})
    plan = plan_of(services, Backend(BASE), own=asking(MANUAL))
    services.change(
        Service(
            BASE,
            (ClusterEndpoints("c1", (Endpoint("::1", 1),)), ClusterEndpoints("c2", (Endpoint("::1", 2),))),
        )
    )
    assert part(plan) == 0.5


def test_a_held_cluster_is_the_last_resort(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.away_for(1.0)
    assert part(plan) == 0.0
    gateway.endpoints(1, 2, failing=(2,))
    assert part(plan) == 1.0  # rather than who fails
    gateway.endpoints(1)
    assert part(plan) == 1.0
    gateway.endpoints(1, 2)
    assert {cluster for cluster, *_ in gateway.states()} == {"c1", "c2"}
    assert part(plan) == 0.5  # nobody else serves: as if none was held


def test_a_second_try_goes_to_no_held_cluster_either(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.endpoints(1, 2, 4)
    gateway.away_for(1.0)
    gateway.endpoints(1, 2, 4)
    assert set(attempts(plan)) == {2, 4}
    choice = plan.pick()
    assert choice is not None
    beside = choice.beside([e for e in gateway.services.endpoints() if e.port == 2])
    assert beside is not None
    assert beside.port == 4


def test_a_fallback_serves_before_it_only_if_no_other_cluster_of_the_split_does(gateway: Gateway) -> None:
    gateway.endpoints(22, service=SPARE)
    backend = Backend(BASE, fallbacks=(Destination(SPARE, split({"c2": 100})),))
    gateway.services.want_failbacks({BASE: {WEB: MANUAL}})
    plan = plan_of(gateway.services, backend, own=asking(MANUAL))
    gateway.away_for(1.0)
    assert tally(plan, 10) == {2: 10}
    gateway.endpoints(1)
    assert tally(plan, 10) == {1: 10}


def test_an_ingress_without_it_is_not_concerned(gateway: Gateway) -> None:
    held = gateway.want(MANUAL)
    other = plan_of(gateway.services, Backend(BASE))
    gateway.away_for(1.0)
    assert (part(held), part(other)) == (0.0, 0.5)


def test_new_rules_change_nothing_and_auto_lets_it_back(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.away_for(1.0)
    assert part(plan) == 0.0
    plan = gateway.want(MANUAL)
    assert part(plan) == 0.0
    plan = gateway.want(None)
    assert part(plan) == 0.5
    plan = gateway.want(MANUAL)
    assert part(plan) == 0.5  # it is forgotten


def test_manual_holds_out_clusters_that_are_away_when_it_is_set(gateway: Gateway) -> None:
    gateway.want(None)
    gateway.endpoints(2)
    plan = gateway.want(MANUAL)
    gateway.endpoints(1, 2)
    assert part(plan) == 0.0
    assert gateway.services.failbacks.take() == (HELD,)


def test_holds_of_other_workers_count_before_and_after_the_rules_come(gateway: Gateway) -> None:
    gateway.services.hold((HELD,))
    plan = gateway.want(MANUAL)
    assert part(plan) == 0.0
    gateway.services.let_back((HELD,))
    gateway.pass_time(9.0)
    assert part(plan) == 0.5
    gateway.services.hold((HELD,))
    assert part(plan) == 0.0
    assert gateway.services.failbacks.take() == ()  # that is no news


@pytest.mark.parametrize("ports", [(2,), (1, 2)], ids=["without endpoints", "failing its checks"])
def test_let_back_while_it_is_away_it_comes_back_by_itself(gateway: Gateway, ports: tuple[int, ...]) -> None:
    plan = gateway.want(MANUAL)
    gateway.endpoints(*ports, failing=(1,))
    gateway.services.let_back((HELD,))
    gateway.pass_time(10.0)
    other = Failback("demo/other", delay_s=1.0)
    gateway.services.want_failbacks({BASE: {WEB: MANUAL, other.ingress: other}})  # new rules elsewhere
    gateway.endpoints(1, 2)
    gateway.pass_time(10.0)  # as its breaker wants
    assert part(plan) == 0.5


def test_a_cluster_that_is_held_already_is_no_news(gateway: Gateway) -> None:
    gateway.want(MANUAL)
    gateway.away_for(1.0)
    gateway.away_for(1.0)
    assert gateway.services.failbacks.take() == (HELD,)


def test_a_cluster_that_is_let_back_twice_is_no_slower(gateway: Gateway) -> None:
    plan = gateway.want(MANUAL)
    gateway.services.let_back((HELD,))
    assert part(plan) == 0.5  # it was not held
    gateway.away_for(1.0)
    gateway.services.let_back((HELD,))
    gateway.pass_time(9.0)
    gateway.services.let_back((HELD,))
    assert part(plan) == 0.5


def test_where_all_are_held_the_first_tier_serves(gateway: Gateway) -> None:
    gateway.services.want_failbacks({BASE: {WEB: MANUAL}})
    plan = plan_of(gateway.services, Backend(BASE), own=asking(MANUAL, {"c1": 100, "c2": 0}))
    gateway.endpoints(1, 2, failing=(1, 2))
    gateway.endpoints(1, 2)
    assert {cluster for cluster, *_ in gateway.states()} == {"c1", "c2"}
    assert part(plan) == 1.0


def test_where_every_endpoint_counts_the_same_too(gateway: Gateway) -> None:
    own = Split(split().mode, split().shares, failback=MANUAL)
    gateway.services.want_failbacks({BASE: {WEB: MANUAL}})
    plan = plan_of(gateway.services, Backend(BASE), own=own)
    gateway.away_for(1.0)
    assert part(plan) == 0.0


@pytest.mark.parametrize("failback", [MANUAL, SLOWLY])
def test_sessions_and_hashed_requests_do_not_go_there(gateway: Gateway, failback: Failback) -> None:
    gateway.services.want_failbacks({BASE: {WEB: failback}})
    own = asking(failback)
    sticky = plan_of(gateway.services, Backend(BASE), own=own, balance=Balance(sticky=Sticky("SRV")))
    hashed = Balance(Algorithm.HASH, HashKey(HashSource.CLIENT))
    keyed = plan_of(gateway.services, Backend(BASE), own=own, balance=hashed)
    cookie = b"SRV=%b" % id_of(gateway.services, 1)
    assert port_of(choose(sticky, cookie)) == 1
    before = {attempts(keyed, client=b"10.0.0.%d" % n)[0] for n in range(50)}
    assert before == {1, 2}
    gateway.away_for(1.0)
    assert port_of(choose(sticky, cookie)) == 2
    assert {attempts(keyed, client=b"10.0.0.%d" % n)[0] for n in range(50)} == {2}
    gateway.services.let_back((HELD,))
    gateway.pass_time(31.0)
    assert {attempts(keyed, client=b"10.0.0.%d" % n)[0] for n in range(50)} == {1, 2}  # in one step


def test_the_report_of_a_worker(gateway: Gateway) -> None:
    gateway.want(MANUAL)
    gateway.endpoints(2)
    assert list(gateway.services.failback_stats()) == [FailbackStats(WEB, BASE, "c1", "held", 0.0, 0.0)]
    gateway.want(SLOWLY)
    assert gateway.states() == []  # away: its breaker and its endpoints say so
