"""Metrics can be parsed, are summed over workers and have labels from configuration only."""

from collections import Counter
from collections.abc import Mapping

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from controlplane.admin.metrics import Metrics
from controlplane.admin.state import State
from controlplane.publish import Rejection, Totals
from proxy.model.statistics import SuppressedCount
from tests.support.states import ROUTE, serving, stats

Samples = Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]


def scrape(state: State) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    registry = CollectorRegistry()
    registry.register(Metrics(state))
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"fleetgate_{name}"][tuple(sorted(labels.items()))]


def test_counters_are_summed_over_workers() -> None:
    samples = scrape(serving())
    labels = {
        "listener": "http-8001",
        "route": ROUTE,
        "cluster": "cluster-1",
        "code_class": "2xx",
        "flag": "-",
    }
    assert value(samples, "requests_total", **labels) == 30
    assert value(samples, "request_duration_seconds_count", route=ROUTE, cluster="cluster-1") == 30
    assert (
        value(samples, "request_duration_seconds_bucket", route=ROUTE, cluster="cluster-1", le="0.005") == 30
    )
    assert value(samples, "request_duration_seconds_sum", route=ROUTE, cluster="cluster-1") == 1.0
    assert value(samples, "request_bytes_total", route=ROUTE) == 20
    assert value(samples, "response_bytes_total", route=ROUTE) == 40
    assert value(samples, "connections", listener="http-8001") == 6


def test_shares_of_routes_that_had_requests() -> None:
    states = {"cluster-1": "healthy", "cluster-2": "ejected"}
    samples = scrape(serving(stats(10, states)))
    for cluster, now in (("cluster-1", 1), ("cluster-2", 0)):
        assert value(samples, "route_share_configured", route=ROUTE, cluster=cluster) == 0.5
        assert value(samples, "route_share_effective", route=ROUTE, cluster=cluster) == now
    for cluster, reason in (("cluster-1", "takes_over"), ("cluster-2", "endpoints_failing")):
        assert value(samples, "route_share_reason", route=ROUTE, cluster=cluster, reason=reason) == 1
    assert "fleetgate_route_share_reason" not in scrape(serving())
    idle = replace(serving(), tally=Totals)
    assert "fleetgate_route_share_configured" not in scrape(idle)


def test_failed_attempts_are_told_apart() -> None:
    samples = scrape(serving())
    keys = {"service": "shop/web:80", "from_cluster": "cluster-2"}
    assert len(samples["fleetgate_attempts_total"]) == 3
    assert len(samples["fleetgate_retries_total"]) == 2
    assert len(samples["fleetgate_failovers_total"]) == 1
    assert value(samples, "failovers_total", **keys, to_cluster="cluster-1", reason="refused") == 6


def test_checks_are_counted_by_their_result() -> None:
    counts = Counter({("shop/web:80", "cluster-1", "passed"): 7, ("shop/web:80", "cluster-1", "timeout"): 2})
    samples = scrape(serving(check_counts=counts))
    for result, number in (("passed", 7), ("timeout", 2)):
        labels = {"service": "shop/web:80", "cluster": "cluster-1", "result": result}
        assert value(samples, "health_checks_total", **labels) == number


@pytest.mark.parametrize("state", ["ejected", "unhealthy", "stalled", "unreachable"])
def test_a_cluster_that_cannot_serve_has_no_share(state: str) -> None:
    samples = scrape(serving(stats(10, {"cluster-1": "draining", "cluster-2": state})))
    labels = {"service": "shop/web:80", "cluster": "cluster-2"}
    assert value(samples, "endpoints", **labels, state=state) == 1
    assert value(samples, "route_share_effective", route=ROUTE, cluster="cluster-2") == 0


def test_routes_that_are_gone_leave_no_series_and_unmatched_requests_do() -> None:
    routes = {dict(labels)["route"] for labels in scrape(serving())["fleetgate_requests_total"]}
    assert routes == {ROUTE, ""}


def test_endpoints_are_counted_by_the_state_most_workers_see() -> None:
    bad = {"cluster-1": "healthy", "cluster-2": "ejected"}
    samples = scrape(serving(stats(1, bad), stats(1, bad), stats(1, dict.fromkeys(bad, "healthy"))))
    service = {"service": "shop/web:80"}
    assert value(samples, "endpoints", **service, cluster="cluster-2", state="ejected") == 1
    assert value(samples, "endpoints", **service, cluster="cluster-1", state="healthy") == 1
    assert value(samples, "upstream_connections", cluster="cluster-1", state="idle") == 6


def test_clusters_snapshots_and_workers_have_their_gauges() -> None:
    state = replace(serving(), rejection=Rejection(8, "bad"), rejected_total=1)
    samples = scrape(replace(state, workers=state.workers[:1], translations=4, translate_sum_s=0.5))
    assert value(samples, "cluster_synced", cluster="cluster-1") == 1
    assert value(samples, "cluster_last_event_timestamp_seconds", cluster="cluster-1") == 998
    assert value(samples, "cluster_objects", cluster="cluster-1", kind="services") == 1
    assert value(samples, "diagnostics", level="warning", code="FG0101") == 1
    assert value(samples, "snapshot_version") == 7
    assert value(samples, "snapshot_applied_timestamp_seconds") == 950
    assert value(samples, "snapshot_rejected_total") == 1
    assert value(samples, "translate_seconds_count") == 4
    assert value(samples, "worker_up", worker="0") == 1
    assert value(samples, "worker_up", worker="1") == 0
    assert value(samples, "worker_restarts_total", worker="0", reason="hang_cpu") == 1
    assert value(samples, "worker_restarts_total", worker="1", reason="exit") == 0
    assert value(samples, "event_loop_lag_seconds", worker="0") == 0.002
    assert value(samples, "worker_tasks", worker="0") == 6
    assert value(samples, "worker_timers", worker="0") == 3
    assert len(samples["fleetgate_build_info"]) == 1


def test_a_gateway_that_has_nothing_yet_can_be_scraped() -> None:
    assert value(scrape(State(now=1.0, started_at=1.0, worker_count=1)), "snapshot_version") == 0


def test_retries_that_were_suppressed_are_added_up_by_cause() -> None:
    totals = Totals()
    for worker in (0, 1):
        counts = (SuppressedCount("shop/web:80", "cluster-1", "budget", 2 + worker),)
        totals.add(msgspec.structs.replace(stats(0, {}), suppressed=counts))
    samples = scrape(replace(serving(), tally=totals.copy))
    labels = {"service": "shop/web:80", "cluster": "cluster-1", "cause": "budget"}
    assert value(samples, "retries_suppressed_total", **labels) == 5
