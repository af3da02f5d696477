"""The state as Prometheus metrics. Labels come from configuration, never from a request."""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controlplane.admin.state import State, dataplane
from controlplane.observe import absences, shares
from controlplane.observe.endpoints import usable
from proxy import __version__
from proxy.model.actions import Forward
from proxy.model.statistics import DURATION_BOUNDS_S

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float]]


def counter(name: str, text: str, labels: Labels, values: Values) -> Metric:
    family = CounterMetricFamily(f"fleetgate_{name}", text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def gauge(name: str, text: str, labels: Labels, values: Values) -> Metric:
    family = GaugeMetricFamily(f"fleetgate_{name}", text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


class Metrics(Collector):
    """Collects from one state; made anew for every scrape, so a route that is gone leaves no series."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._totals = state.totals
        snapshot = state.snapshot
        self._routes = {route.id for route in snapshot.routes} if snapshot is not None else set()

    def collect(self) -> Iterator[Metric]:
        yield from self._traffic()
        yield from self._shares()
        yield from self._attempts()
        yield from self._checks()
        yield from self._connections()
        yield from self._clusters()
        yield from self._snapshots()
        yield from self._workers()

    def _is_live(self, route: str) -> bool:
        return "/" not in route or route in self._routes

    def _traffic(self) -> Iterator[Metric]:
        totals = self._totals
        requests = Counter[Labels]()
        for (listener, route, _, cluster, code_class, flag), count in totals.requests.items():
            if self._is_live(route):
                requests[listener, route, cluster, code_class, flag] += count
        labels = ("listener", "route", "cluster", "code_class", "flag")
        yield counter("requests", "Finished requests.", labels, requests.items())
        durations = HistogramMetricFamily(
            "fleetgate_request_duration_seconds",
            "From the first byte of the request to the last byte of the response.",
            labels=("route", "cluster"),
        )
        bounds = [*(str(bound) for bound in DURATION_BOUNDS_S), "+Inf"]
        sent, received = Counter[Labels](), Counter[Labels]()
        for (route, cluster), total in totals.durations.items():
            if self._is_live(route):
                buckets = list(zip(bounds, accumulate(total.buckets), strict=True))
                durations.add_metric((route, cluster), buckets, total.sum_s)
                received[route,] += total.request_bytes
                sent[route,] += total.response_bytes
        yield durations
        yield counter("request_bytes", "Bytes of request bodies.", ("route",), received.items())
        yield counter("response_bytes", "Bytes of response bodies.", ("route",), sent.items())

    def _shares(self) -> Iterator[Metric]:
        """For routes that had requests only: no reader wants a series for each of 100,000 routes."""
        snapshot = self._state.snapshot
        used = {route for _, route, *_ in self._totals.requests}
        seen, opened, back = self._state.endpoints(), self._state.breakers(), self._state.failbacks()
        endpoints, found = usable(seen, opened, back), absences.absences(snapshot, seen, opened)
        configured: dict[Labels, float] = {}
        effective: dict[Labels, float] = {}
        reasons: dict[Labels, float] = {}
        for route in snapshot.routes if snapshot is not None else ():
            if route.id in used and isinstance(route.action, Forward):
                planned, present = shares.of_route(route, endpoints)
                here = absences.with_failback(found, shares.splits_of(route.action), back)
                why = absences.of_route(route.action, planned, present, here)
                reasons.update(((route.id, *pair), 1.0) for pair in why.items())
                configured.update(((route.id, cluster), part) for cluster, part in planned.items())
                effective.update(((route.id, cluster), part) for cluster, part in present.items())
        labels = ("route", "cluster")
        text = "Part of the route's traffic, 0 to 1, while all is healthy."
        yield gauge("route_share_configured", text, labels, configured.items())
        yield gauge("route_share_effective", "Its part now.", labels, effective.items())
        text = "1 where the two differ: why they do."
        yield gauge("route_share_reason", text, (*labels, "reason"), reasons.items())

    def _attempts(self) -> Iterator[Metric]:
        labels = ("service", "from_cluster", "to_cluster", "reason")
        failed = self._totals.attempts
        retried = {key: count for key, count in failed.items() if key[2]}
        moved = {key: count for key, count in retried.items() if key[1] != key[2]}
        text = "Attempts that failed; to_cluster is where the request went next, empty when it ended."
        yield counter("attempts", text, labels, failed.items())
        yield counter("retries", "Failed attempts that were followed by another.", labels, retried.items())
        text = "Failed attempts that were not followed by another, by why."
        suppressed = self._totals.suppressed
        yield counter("retries_suppressed", text, ("service", "cluster", "cause"), suppressed.items())
        text = "Copies of requests for mirrors, by outcome."
        yield counter("mirrored", text, ("route", "outcome"), self._totals.mirrors.items())
        yield counter("failovers", "Retries that went to another cluster.", labels, moved.items())

    def _checks(self) -> Iterator[Metric]:
        text = "Health checks made, by how they ended; one for all services that share it counts for each."
        labels = ("service", "cluster", "result")
        yield counter("health_checks", text, labels, self._state.check_counts.items())

    def _connections(self) -> Iterator[Metric]:
        clients, accepted = Counter[Labels](), self._totals.accepted
        upstream, endpoints = Counter[Labels](), Counter[Labels]()
        for view in self._state.workers:
            for connection in view.stats.connections if view.stats is not None else ():
                clients[connection.listener,] += connection.active
        for endpoint in self._state.endpoints():
            service, cluster, _, _ = endpoint.key
            endpoints[service, cluster, endpoint.state] += 1
            for stats in endpoint.by_worker.values():
                upstream[cluster, "active"] += stats.in_flight
                upstream[cluster, "idle"] += stats.idle
        yield gauge("connections", "Open client connections.", ("listener",), clients.items())
        accepts = (((listener,), count) for listener, count in accepted.items())
        yield counter("connections_accepted", "Accepted client connections.", ("listener",), accepts)
        text = "Client connections turned away, or closed while idle, to stay within a limit."
        yield counter("connections_shed", text, ("listener", "cause"), self._totals.shed.items())
        pauses = (((cause,), count) for cause, count in self._totals.pauses.items())
        yield counter("accept_pauses", "Times a worker stopped accepting for a while.", ("cause",), pauses)
        yield from self._http2()
        text = "TLS handshakes of clients, by the version agreed on or the cause of their failure."
        yield counter("tls_handshakes", text, ("listener", "outcome"), self._totals.handshakes.items())
        text = "When the validity of a certificate in use ends, in Unix seconds."
        expiries = [((secret,), expiry) for secret, expiry in self._state.certificates.items()]
        yield gauge("certificate_expiry_timestamp_seconds", text, ("secret",), expiries)
        text = "Connections to endpoints."
        yield gauge("upstream_connections", text, ("cluster", "state"), upstream.items())
        text = "Endpoints by the state most workers see them in."
        yield gauge("endpoints", text, ("service", "cluster", "state"), endpoints.items())
        opened = [(key, 1.0 - breaker.ramp) for key, breaker in self._state.breakers().items()]
        text = "Part of its share that a cluster does not get since it failed: 1 while its breaker is open."
        yield gauge("cluster_breaker_open", text, ("service", "cluster"), opened)

    def _http2(self) -> Iterator[Metric]:
        totals = self._totals
        connections = (((listener,), count) for listener, count in totals.http2_connections.items())
        yield counter("http2_connections", "Accepted connections of HTTP/2.", ("listener",), connections)
        streams = (((listener,), count) for listener, count in totals.http2_streams.items())
        yield counter("http2_streams", "Requests over HTTP/2.", ("listener",), streams)
        text = "Streams and connections of HTTP/2 ended for a fault of the client, by the code it got."
        yield counter("http2_errors", text, ("listener", "scope", "code"), totals.http2_errors.items())

    def _clusters(self) -> Iterator[Metric]:
        health = self._state.clusters
        label = ("cluster",)
        text = "1 when the cluster's objects were listed completely at least once."
        yield gauge("cluster_synced", text, label, (((c.cluster,), c.synced) for c in health))
        text = "1 when the cluster's API server does not answer; its last known endpoints are used."
        yield gauge("cluster_stale", text, label, (((c.cluster,), c.stale) for c in health))
        text = "When the cluster's objects were last known to be current."
        times = (((c.cluster,), self._state.now - c.age_s) for c in health)
        yield gauge("cluster_last_event_timestamp_seconds", text, label, times)
        text = "Watches that were opened again."
        restarts = (((c.cluster,), c.watch_restarts) for c in health)
        yield counter("cluster_watch_restarts", text, label, restarts)
        text = "Complete lists after the first one."
        yield counter("cluster_relists", text, label, (((c.cluster,), c.relists) for c in health))
        objects = (((c.cluster, kind), count) for c in health for kind, count in c.objects.items())
        yield gauge("cluster_objects", "Objects watched.", ("cluster", "kind"), objects)
        found = Counter[Labels]((item.level, item.code) for item in self._state.diagnostics)
        yield gauge("diagnostics", "Open findings about objects.", ("level", "code"), found.items())

    def _snapshots(self) -> Iterator[Metric]:
        state = self._state
        version = state.snapshot.version if state.snapshot is not None else 0
        yield gauge("snapshot_version", "Number of the snapshot that is served.", (), [((), version)])
        text = "When all workers last took a snapshot over."
        yield gauge("snapshot_applied_timestamp_seconds", text, (), [((), state.applied_at)])
        text = "Snapshots that the workers could not use."
        yield counter("snapshot_rejected", text, (), [((), state.rejected_total)])
        text = "Failed attempts to save the snapshot on disk."
        yield counter("snapshot_save_failures", text, (), [((), state.store.failures)])
        yield SummaryMetricFamily(
            "fleetgate_translate_seconds",
            "Time to turn objects into a snapshot.",
            count_value=state.translations,
            sum_value=state.translate_sum_s,
        )

    def _workers(self) -> Iterator[Metric]:
        state = self._state
        connected = {view.worker: view for view in state.workers}
        label = ("worker",)
        up = (((str(p.worker),), p.pid is not None and p.worker in connected) for p in state.processes)
        yield gauge("worker_up", "1 when the worker runs and is connected.", label, up)
        restarts = (
            ((str(p.worker), reason), count) for p in state.processes for reason, count in p.reasons.items()
        )
        yield counter("worker_restarts", "Restarts of the worker.", ("worker", "reason"), restarts)
        stats = {(str(view.worker),): view.stats for view in state.workers if view.stats is not None}
        lags = ((labels, each.loop_lag_s) for labels, each in stats.items())
        yield gauge("event_loop_lag_seconds", "Worst delay since the last report.", label, lags)
        tasks = ((labels, each.tasks) for labels, each in stats.items())
        yield gauge("worker_tasks", "Tasks of the worker's event loop: none per request.", label, tasks)
        timers = ((labels, each.timers) for labels, each in stats.items())
        yield gauge("worker_timers", "Objects on the worker's timer wheel.", label, timers)
        dropped = [((), self._totals.log_lines_dropped)]
        yield counter(
            "access_log_lines_dropped", "Lines lost because they could not be written.", (), dropped
        )
        deferred = [((), self._totals.deferred)]
        text = "Times that a connection's input had to wait for a later turn of the event loop."
        yield counter("deferred_input", text, (), deferred)
        text = "1 when this replica writes statuses."
        yield gauge("leader", text, (), [((), state.leader)])
        info = ("version", "python", "loop", "dataplane")
        build = (__version__, platform.python_version(), "uvloop", dataplane(state.workers))
        yield gauge("build_info", "Always 1.", info, [(build, 1)])
