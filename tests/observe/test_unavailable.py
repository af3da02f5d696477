"""Which clusters are away, as snapshots and reports of workers come one after the other."""

import msgspec
from msgspec.structs import replace

from controlplane.observe.memory import FORGET_S
from controlplane.observe.unavailable import UnavailabilityTracker, UnavailableClusters
from controlplane.publish import WorkerView
from proxy.model.actions import Backend, Failback, Forward, Share, Split, SplitMode
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot
from proxy.model.statistics import BreakerStats, EndpointStats, FailbackStats
from tests.support.dataplane import snapshot
from tests.support.states import stats

WEB = "shop/web:80"
TWO = ("cluster-1", "cluster-2")


def view(phase: str = "", level: float = 0.0, state: str = "healthy") -> tuple[WorkerView, ...]:
    """One worker that sees cluster-2 so."""
    breakers = (BreakerStats(WEB, "cluster-2", phase, level, 0),) if phase else ()
    endpoints = (
        EndpointStats(WEB, "cluster-1", "10.0.0.1", 8080, "healthy", 0, 0, 0, 0, ""),
        EndpointStats(WEB, "cluster-2", "10.0.0.1", 8080, state, 0, 0, 0, 0, ""),
    )
    report = replace(stats(1, {}), breakers=breakers, endpoints=endpoints)
    return (WorkerView(0, 100, 7, "", report),)


def counted(*filled: str) -> Snapshot:
    """The service split by endpoints, with one endpoint in each of these clusters."""
    found = snapshot(7, 8001)
    split = Split(SplitMode.ENDPOINTS, tuple(Share(cluster) for cluster in TWO))
    (route,) = found.routes
    groups = tuple(
        ClusterEndpoints(cluster, (Endpoint("10.0.0.1", 8080),) if cluster in filled else ())
        for cluster in TWO
    )
    return replace(
        found,
        routes=(replace(route, action=Forward((Backend(WEB),), split)),),
        services=(Service(WEB, groups),),
    )


def lost(unavailable: UnavailableClusters) -> dict[str, tuple[float, float, str]]:
    services = unavailable.shortages.get(("shop", "web"), {})
    return {
        cluster: (each.configured, round(each.effective, 2), each.reason)
        for reduced in services.values()
        for cluster, each in reduced.clusters.items()
    }


def test_a_cluster_is_away_from_when_its_breaker_opens_until_it_has_returned() -> None:
    tracker, served = UnavailabilityTracker(), snapshot(7, 8001)
    assert lost(tracker.observe(served, view(), 1.0)) == {}
    away = tracker.observe(served, view("open", 0.0, "ejected"), 2.0)
    assert lost(away) == {"cluster-1": (0.5, 1.0, ""), "cluster-2": (0.5, 0.0, "breaker_open")}
    assert away.states[WEB, "cluster-2"] == {"ejected": 1}
    returning = tracker.observe(served, view("ramping", 0.5), 3.0)
    assert lost(returning)["cluster-2"] == (0.5, 0.33, "ramping")
    assert returning.reasons == {(WEB, "cluster-2"): "ramping"}
    assert lost(tracker.observe(served, view(), 4.0)) == {}


def test_a_share_that_only_grows_again_is_no_absence() -> None:
    """As after a restart of a worker, or when too few workers had their breaker open."""
    tracker = UnavailabilityTracker()
    assert lost(tracker.observe(snapshot(7, 8001), view("ramping", 0.5), 1.0)) == {}


def test_a_cluster_that_is_held_out_stays_away_from_that_ingress() -> None:
    tracker, served = UnavailabilityTracker(), snapshot(7, 8001)
    (route,) = served.routes
    assert isinstance(route.action, Forward)
    split = replace(route.action.split, failback=Failback("shop/web", manual=True))
    asking = replace(route, action=replace(route.action, split=split))
    other = replace(route, id="shop/other/0/0", source=replace(route.source, name="other"))
    served = replace(served, routes=(asking, other))
    held = FailbackStats("shop/web", WEB, "cluster-2", "held", 0.0, 0.0)
    (worker,) = view()
    assert worker.stats is not None
    seen = (msgspec.structs.replace(worker, stats=replace(worker.stats, failbacks=(held,))),)
    assert lost(tracker.observe(served, view("open", 0.0, "ejected"), 1.0))["cluster-2"][2] == "breaker_open"
    away = tracker.observe(served, seen, 2.0)
    assert lost(away) == {"cluster-1": (0.5, 1.0, ""), "cluster-2": (0.5, 0.0, "held_out")}
    assert ("shop", "other") not in away.shortages
    assert lost(tracker.observe(served, view(), 3.0)) == {}


def test_a_cluster_that_seemed_to_be_back_for_a_moment_goes_on_returning() -> None:
    tracker, served = UnavailabilityTracker(), counted(*TWO)
    tracker.observe(served, view(), 1.0)
    empty = counted("cluster-1")
    for now in range(2, 9):
        tracker.observe(empty, view(), now)
    assert tracker.observe(served, view(), 9.0).reasons == {}
    assert tracker.observe(served, view("ramping", 0.5), 10.0).reasons == {(WEB, "cluster-2"): "ramping"}
    tracker.observe(served, view(), 11.0)
    assert tracker.observe(served, view("ramping", 0.5), 15.0).reasons == {}


def test_a_cluster_with_a_weight_and_without_endpoints_is_away() -> None:
    tracker, served = UnavailabilityTracker(), snapshot(7, 8001)
    (service,) = served.services
    empty = replace(service, clusters=(service.clusters[0], ClusterEndpoints("cluster-2", ())))
    found = tracker.observe(replace(served, services=(empty,)), view(), 1.0)
    assert lost(found)["cluster-2"] == (0.5, 0.0, "no_endpoints")


def test_a_counted_cluster_keeps_the_share_of_its_last_endpoints_for_an_hour() -> None:
    """The share of a cluster without endpoints is nothing, and so would be its loss."""
    tracker = UnavailabilityTracker()
    assert lost(tracker.observe(counted(*TWO), view(), 1.0)) == {}
    empty = counted("cluster-1")
    for now in (2.0, FORGET_S):
        assert lost(tracker.observe(empty, view(), now)) == {
            "cluster-1": (0.5, 1.0, ""),
            "cluster-2": (0.5, 0.0, "no_endpoints"),
        }
    assert lost(tracker.observe(empty, view(), FORGET_S + 3.0)) == {}
    assert lost(tracker.observe(counted(*TWO), view(), FORGET_S + 4.0)) == {}


def test_a_counted_cluster_that_never_had_an_endpoint_has_lost_none() -> None:
    tracker = UnavailabilityTracker()
    found = tracker.observe(counted("cluster-1"), view(), 1.0)
    assert (lost(found), found.reasons) == ({}, {})


def test_an_unchanged_snapshot_is_not_looked_at_again() -> None:
    tracker, served = UnavailabilityTracker(), counted(*TWO)
    tracker.observe(served, view(), 1.0)
    first = tracker.observe(counted("cluster-1"), view(), 2.0)
    assert lost(first)
    later = tracker.observe(tracker._snapshot or served, view(), 3.0)
    assert later.shortages is first.shortages
    assert later.now == 3.0


def test_endpoints_that_fail_their_checks_are_an_absence_without_a_request() -> None:
    served = snapshot(7, 8001)
    (service,) = served.services
    failing = ClusterEndpoints("cluster-2", (Endpoint("10.0.0.1", 8080, failing=True),))
    checked = replace(service, clusters=(service.clusters[0], failing))
    found = UnavailabilityTracker().observe(
        replace(served, services=(checked,)), view(state="unhealthy"), 1.0
    )
    assert lost(found)["cluster-2"] == (0.5, 0.0, "checks_failing")


def test_a_weighted_cluster_that_lacks_endpoints_gets_less_and_is_not_away() -> None:
    served = snapshot(7, 8001, pods=("10.0.0.1", "10.0.0.2"))
    (worker,) = view(state="ejected")
    assert worker.stats is not None
    well = EndpointStats(WEB, "cluster-2", "10.0.0.2", 8080, "healthy", 0, 0, 0, 0, "")
    report = replace(worker.stats, endpoints=(*worker.stats.endpoints, well))
    found = UnavailabilityTracker().observe(served, (msgspec.structs.replace(worker, stats=report),), 1.0)
    share, part, reason = lost(found)["cluster-2"]
    assert (share, reason) == (0.5, "fewer_endpoints")
    assert 0.0 < part < share
    assert found.shortages["shop", "web"][WEB].failed_over == []


def test_a_counted_cluster_that_lacks_endpoints_only_counts_for_less() -> None:
    served = counted(*TWO)
    both = tuple(
        ClusterEndpoints(each.cluster, (*each.endpoints, Endpoint("10.0.0.2", 8080)))
        for each in served.services[0].clusters
    )
    more = replace(served, services=(Service(WEB, both),))
    assert lost(UnavailabilityTracker().observe(more, view(state="ejected"), 1.0)) == {}
