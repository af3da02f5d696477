"""The way of a request, and its reasons: the answer of `explain`, live or from files."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from controlplane.admin.question import Question, Request, request_of
from controlplane.admin.reasons import condition_text, reason
from controlplane.admin.refused import refused
from controlplane.admin.state import State
from controlplane.admin.times import rfc3339
from controlplane.admin.views import Json, percent
from controlplane.observe import absences, shares
from controlplane.observe.endpoints import Merged, usable
from controlplane.resources.ingress import Ingress
from proxy.model.actions import Algorithm, Forward, Split
from proxy.model.snapshot import Listener, Route, Snapshot, Source
from proxy.routing.explain import Considered, Inquiry, Part, RouteVerdict, explain
from proxy.routing.shares import Usable, priority_levels

_MOST_NEAR: Final = 10
"""Number of routes that do not match that are shown by default: the nearest ones."""


def explanation(
    state: State, snapshot: Snapshot, question: Question, ingresses: Mapping[str, Ingress]
) -> Json:
    """Return the route of a request with all deciding facts. Raises QuestionError, RouteError.

    `ingresses` are the Ingresses of the Fleet by key: the request may be meant for a refused one.
    """
    request = request_of(question, snapshot)
    most = None if question.all else _MOST_NEAR
    found = explain(snapshot.routes, request.asked, most, owned=snapshot.hosts_owned)
    winner = found.chosen.route if found.chosen is not None else None
    shown = found.considered if question.all else tuple(_near(found.considered))
    return {
        "request": _request(request),
        "listener": None if request.listener is None else _listener(request.listener),
        "note": request.note or _ambiguity(snapshot, request, winner),
        "chosen": winner.id if winner is not None else None,
        "considered": [_considered(each) for each in shown],
        "left": found.left + len(found.considered) - len(shown),
        "answer": {"status": 404, "reason": "NR"}
        if winner is None
        else _answer(state, snapshot, winner, request.listener),
        "refused": refused(
            ingresses,
            state.diagnostics,
            snapshot,
            request.asked,
            winner.source if winner is not None else None,
        ),
        "freshness": _freshness(state, snapshot),
    }


def _ambiguity(snapshot: Snapshot, request: Request, winner: Route | None) -> str:
    """Say so when workers refuse the path because servers read it differently: proxy.downstream.spelling."""
    if winner is not None:
        for path in request.readings:
            other = _chosen(snapshot, replace(request.asked, path=path))
            if other is not None and other.route != winner:
                return (
                    f"answered 400: some servers read {path} in this path, which takes route {other.route.id}"
                )
    return ""


def _chosen(snapshot: Snapshot, asked: Inquiry) -> Considered | None:
    return explain(snapshot.routes, asked, 0, owned=snapshot.hosts_owned).chosen


def _timeout(route: Route, listener: Listener | None) -> Json:
    """Return the response timeout in seconds, and whether the route or the listener sets it."""
    own = route.policies.response_timeout_s if route.policies is not None else None
    if own is not None or listener is None:
        return {"seconds": own, "from": "route"}
    return {"seconds": listener.response_timeout_s, "from": "listener"}


def _near(considered: Iterable[Considered]) -> Iterable[Considered]:
    """Yield the routes that match, then near misses: routes that differ in one part of their place."""
    misses = 0
    for each in considered:
        parts = {difference.part for difference in each.differences} & {Part.PORT, Part.HOST, Part.PATH}
        if each.verdict is RouteVerdict.MISSED:
            if misses >= _MOST_NEAR or (misses and (len(parts) > 1 or Part.HOST in parts)):
                return
            misses += 1
        yield each


def _request(request: Request) -> Json:
    asked = request.asked
    return {
        "method": asked.method,
        "host": asked.host,
        "port": asked.port,
        "path": asked.path,
        "query": asked.query,
        "client": asked.client,
    }


def _listener(listener: Listener) -> Json:
    return {
        "name": listener.name,
        "port": listener.port,
        "protocol": listener.protocol,
        "source": msgspec.to_builtins(listener.source),
    }


def _considered(each: Considered) -> Json:
    route = each.route
    return {
        "id": route.id,
        "verdict": each.verdict,
        "reason": reason(each),
        "host": route.host or "*",
        "path": msgspec.to_builtins(route.path),
        "conditions": [condition_text(condition) for condition in route.conditions],
        "order": route.order,
        "priority": route.priority,
        "source": msgspec.to_builtins(route.source),
    }


def _answer(state: State, snapshot: Snapshot, route: Route, listener: Listener | None) -> Json:
    """Return the effect of the chosen route."""
    action = route.action
    answer: Json = {
        "conditions": [condition_text(condition) for condition in route.conditions],
        "policies": _policies(route),
        "ignored": _findings(state, route.source),
    }
    if not isinstance(action, Forward):
        return answer | {"action": msgspec.to_builtins(action)}
    endpoints = state.endpoints()
    balance = action.balance
    return answer | {
        "action": {"type": "forward"},
        "timeout": _timeout(route, listener),
        "endpointsKnown": any(cluster.synced for cluster in snapshot.clusters),
        "algorithm": balance.algorithm if balance is not None else Algorithm.LEAST_REQUEST,
        "backends": _backends(action, endpoints, state, snapshot),
    }


def _policies(route: Route) -> Json:
    """Return the policies that are set."""
    policies: Json = msgspec.to_builtins(route.policies) or {}
    return {name: value for name, value in policies.items() if value not in (None, ())}


def _findings(state: State, source: Source) -> list[Json]:
    return [
        {"code": item.code, "level": item.level, "field": item.field, "message": item.message}
        for item in state.diagnostics
        if (item.kind, item.namespace, item.name) == (source.kind, source.namespace, source.name)
    ]


def _backends(action: Forward, endpoints: list[Merged], state: State, snapshot: Snapshot) -> list[Json]:
    opened, back = state.breakers(), state.failbacks()
    counts, found = usable(endpoints, opened, back), absences.absences(snapshot, endpoints, opened)
    backends = []
    for backend, share in zip(action.backends, shares.of_backends(action, counts), strict=True):
        service = share.served_by or backend.service
        here = counts.get(service, {})
        backends.append(
            {
                "service": backend.service,
                "servedBy": share.served_by,
                "configuredPercent": percent(share.configured),
                "effectivePercent": percent(share.effective),
                "split": share.split.mode,
                "clusters": _clusters(
                    share.split, here, service, absences.with_failback(found, (share.split,), back)
                ),
                "takeOverOrder": _take_over_order(share.split, here),
                "endpoints": [_endpoint(each) for each in endpoints if each.key[0] == service],
            }
        )
    return backends


def _take_over_order(split: Split, counts: Mapping[str, Usable]) -> list[str]:
    """Return the clusters in the order in which they serve when those before them cannot."""
    order: list[str] = []
    for level in priority_levels(split, counts):
        order += [cluster for cluster, _ in sorted(level.items(), key=lambda each: (-each[1], each[0]))]
    return order


def _clusters(
    split: Split, counts: Mapping[str, Usable], service: str, found: absences.Absences
) -> list[Json]:
    planned, present = shares.configured(split, counts), shares.effective(split, counts)
    reasons = absences.of_service(service, planned, present, found)
    return [
        {
            "cluster": each.cluster,
            "weight": each.weight,
            "configuredPercent": percent(planned.get(each.cluster, 0.0)),
            "effectivePercent": percent(present.get(each.cluster, 0.0)),
            "reason": reasons.get(each.cluster, ""),
        }
        for each in split.shares
    ]


def _endpoint(endpoint: Merged) -> Json:
    _, cluster, address, port = endpoint.key
    return {
        "cluster": cluster,
        "address": address,
        "port": port,
        "state": endpoint.state,
        "inFlight": sum(stats.in_flight for stats in endpoint.by_worker.values()),
    }


def _freshness(state: State, snapshot: Snapshot) -> Json:
    return {
        "snapshotVersion": snapshot.version,
        "appliedAt": rfc3339(state.applied_at),
        "appliedSecondsAgo": round(state.now - state.applied_at, 1) if state.applied_at else None,
        "appliedOn": state.applied_count,
        "workers": state.worker_count,
        "fromDisk": state.from_disk,
        "clusters": [
            {
                "cluster": health.cluster,
                "synced": health.synced,
                "stale": health.stale,
                "ageSeconds": round(health.age_s, 1),
                "lastError": health.last_error,
            }
            for health in state.clusters
            if health.attached
        ],
    }
