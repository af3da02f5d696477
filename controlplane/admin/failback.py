"""Clusters that an Ingress keeps out after a failure: their description, and the way to let them back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from controlplane.admin.state import Source, State
from controlplane.admin.times import rfc3339
from controlplane.observe.endpoints import usable
from controlplane.observe.failbacks import Failbacks
from controlplane.translate.annotations.failback import written
from controlplane.translate.diagnostics import did_you_mean
from proxy.model.actions import Split
from proxy.model.channel import Hold
from proxy.model.snapshot import Route, destinations_of
from proxy.model.statistics import FailbackStats
from proxy.routing.shares import NONE


class LetBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request: of which Ingress (namespace/name), and which cluster; "" is every one that is held."""

    ingress: str
    cluster: str = ""


class FailbackError(Exception):
    """The request names no Ingress or cluster that can be held out; the message has reason and fix."""


def failback_views(state: State, cluster: str, found: Failbacks) -> Iterator[dict[str, Any]]:
    """Yield the failbacks of a cluster for `/api/v1/clusters`."""
    for (service, where), by_ingress in found.items():
        if where == cluster:
            for ingress, stats in by_ingress.items():
                yield {
                    "ingress": ingress,
                    "service": service,
                    "state": stats.state,
                    "partPercent": round(100 * stats.part, 2),
                    "since": rfc3339(state.held.get(Hold(ingress, service, cluster), 0.0)),
                    "until": rfc3339(state.now + stats.left_s) if stats.state != "held" else None,
                    "text": text(stats, state.now),
                }


def text(stats: FailbackStats, now: float) -> str:
    """Return in words when the cluster gets its share back, or how to let it back."""
    if stats.state == "held":
        return (
            f"held out (failback manual) until: fleetgate failback {stats.ingress} --cluster {stats.cluster}"
        )
    until = datetime.fromtimestamp(now + stats.left_s, UTC).strftime("%H:%M:%S UTC")
    if stats.state == "delayed":
        return f"held out until {until} (failback)"
    return f"gets {stats.part:.1%} of its share, all of it at {until} (failback)"


def let_back(source: Source, wanted: LetBack) -> dict[str, Any]:
    """Let the wanted clusters back, and return them. Raises FailbackError."""
    before = source.state()
    _check(before, wanted)
    counts = usable(before.endpoints(), before.breakers(), before.failbacks())
    back = source.let_back(wanted.ingress, wanted.cluster)
    return {
        "ingress": wanted.ingress,
        "letBack": [
            {
                "service": hold.service,
                "cluster": hold.cluster,
                "since": rfc3339(before.held.get(hold, 0.0)),
                "serves": bool(counts.get(hold.service, {}).get(hold.cluster, NONE).live),
            }
            for hold in sorted(back, key=lambda hold: (hold.service, hold.cluster))
        ],
    }


def _check(state: State, wanted: LetBack) -> None:
    served = sorted({f"{r.source.namespace}/{r.source.name}" for r in _routes(state)})
    if wanted.ingress not in served:
        hint = did_you_mean(wanted.ingress, served)
        raise FailbackError(
            f"Ingress {wanted.ingress!r} has no routes here{hint}; give it as NAMESPACE/NAME, and ask"
            " the gateway that serves it"
        )
    splits = [split for split in _splits(state, wanted.ingress) if split.failback is not None]
    manual = [split for split in splits if split.failback is not None and split.failback.manual]
    if not manual:
        is_now = written(splits[0].failback if splits else None)
        raise FailbackError(
            f"Ingress {wanted.ingress} holds no cluster out: its fleetgate.io/failback is {is_now}, not"
            " manual"
        )
    named = sorted({share.cluster for split in manual for share in split.shares})
    if wanted.cluster and wanted.cluster not in named:
        hint = did_you_mean(wanted.cluster, named)
        raise FailbackError(
            f"Ingress {wanted.ingress} uses no cluster {wanted.cluster!r}{hint}; it uses: {', '.join(named)}"
        )


def _routes(state: State) -> tuple[Route, ...]:
    return state.snapshot.routes if state.snapshot is not None else ()


def _splits(state: State, ingress: str) -> Iterator[Split]:
    """Yield the splits that say when an Ingress gives clusters their share back."""
    for route in _routes(state):
        for _, split in destinations_of(route):
            if split.failback is not None and split.failback.ingress == ingress:
                yield split
