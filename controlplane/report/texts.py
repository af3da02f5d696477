"""Texts for users: messages of Events, and the value of the annotation. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from controlplane.observe.absences import REASONS
from controlplane.observe.shortages import ServiceShares
from controlplane.observe.timeline import Failover

MAX_ANNOTATION: Final = 32_768
"""Bytes; an object may have 256 KiB of annotations in all."""

_NAMED: Final = 3  # services that are named beside the first


def lost_text(
    cluster: str, services: Mapping[str, ServiceShares], states: Mapping[str, int], failover: Failover | None
) -> str:
    """Return the lost share of a cluster with reason and stand-ins, in full for the first service only."""
    service, reduced = next(iter(services.items()))
    standing = reduced.clusters[cluster]
    why = REASONS[standing.reason] + _details(states, failover)
    others = (
        f"{name} serves {_percent(each.effective)}"
        for name, each in reduced.clusters.items()
        if name != cluster and each.effective
    )
    instead = ", ".join(others) if reduced.served else "no cluster can serve it"
    return (
        f"{cluster} does not get its {_percent(standing.configured)} of service {service}: {why};"
        f" {instead or 'another service takes its part'}{_more(services)}"
    )


def returned_text(
    cluster: str,
    services: Mapping[str, float],
    reduced: Mapping[str, float],
    seconds: float,
    failovers: Mapping[str, Failover],
    elsewhere: int = 0,
) -> str:
    """Return the text of an Event: a cluster has its shares (0 to 1, by service) again, or a part of them.

    `elsewhere` is the number of requests of its shares that other clusters served; requests that were tried
    again there are among them, as far as counters show.
    """
    service, share = next(iter(services.items()))
    less = f"{_percent(reduced[service])} of " if service in reduced else ""
    text = (
        f"{cluster} gets {less}its {_percent(share)} of service {service} again after {_duration(seconds)}"
        f"{_more(services)}"
    )
    if not failovers and not elsewhere:
        return text
    moved, lost = (sum(getattr(f, name) for f in failovers.values()) for name in ("moved", "lost"))
    return f"{text}; {max(moved, elsewhere)} requests served by other clusters, {lost} lost"


def annotation_text(services: Mapping[str, ServiceShares]) -> str:
    """Return the shares as JSON, in percent. Services for which there is no room are left out."""
    shown: dict[str, object] = {}
    size = 2
    for service, reduced in sorted(services.items()):
        entry = {
            cluster: _entry(each.configured, each.effective, each.reason)
            for cluster, each in sorted(reduced.clusters.items())
        }
        size += len(msgspec.json.encode({service: entry}))
        if size > MAX_ANNOTATION:
            break
        shown[service] = entry
    return msgspec.json.encode(shown).decode()


def _entry(configured: float, effective: float, reason: str) -> dict[str, float | str]:
    entry: dict[str, float | str] = {"configured": _number(configured), "effective": _number(effective)}
    return entry | ({"reason": reason} if reason else {})


def _details(states: Mapping[str, int], failover: Failover | None) -> str:
    """Return the states of the endpoints there, and the most frequent failure of requests."""
    total = sum(states.values())
    found = [f"{count} of {total} {state}" for state, count in sorted(states.items()) if state != "healthy"]
    if failover is not None and failover.reasons and failover.cause not in found:
        found.append(failover.cause)
    return f" ({', '.join(found)})" if found else ""


def _more(services: Mapping[str, object]) -> str:
    rest = [*services][1:]
    if not rest:
        return ""
    unnamed = len(rest) - _NAMED
    return "; the same for " + ", ".join(rest[:_NAMED]) + (f" and {unnamed} more" if unnamed > 0 else "")


def _percent(share: float) -> str:
    return f"{_number(share):g} %"


def _number(share: float) -> float:
    """Return a part in percent, as a whole number where it is one, nearly."""
    percent = round(100 * share, 1)
    return int(percent) if percent.is_integer() else percent


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
