"""fleetgate.io/failover and failover-clusters: where requests may go when their cluster is dead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.registry import OWN, field_of
from controlplane.translate.diagnostics import Findings

MODE_KEY: Final = OWN + "failover"
CLUSTERS_KEY: Final = OWN + "failover-clusters"


@dataclass(frozen=True, slots=True)
class Failover:
    """`clusters` None is every attached cluster, () none."""

    clusters: tuple[str, ...] | None = None


def parse(annotations: Mapping[str, str], findings: Findings) -> Failover:
    """Return where a route may fail over to.

    An unusable value is an error of the Ingress, never the default: these annotations keep data
    out of a cluster.
    """
    mode = annotations.get(MODE_KEY)
    clusters = annotations.get(CLUSTERS_KEY)
    if mode is not None and mode.strip() not in ("auto", "none"):
        findings.add(
            "FG0201", field_of(MODE_KEY), mode, problem="is not a failover mode", allowed="auto, none"
        )
    closed = mode is not None and mode.strip() == "none"
    if clusters is None:
        return Failover(() if closed else None)
    named = comma_list(clusters)
    if not named:
        findings.add(
            "FG0201",
            field_of(CLUSTERS_KEY),
            clusters,
            problem="names no cluster",
            allowed="a comma list of ids",
        )
    if closed:
        findings.add(
            "FG0201",
            field_of(CLUSTERS_KEY),
            clusters,
            problem=f"contradicts {MODE_KEY} = none",
            allowed="one of the two annotations",
        )
        return Failover(())
    return Failover(named)
