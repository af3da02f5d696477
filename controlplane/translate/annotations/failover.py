"""fleetgate.io/failover and failover-clusters: where requests may go when their cluster is dead."""

from typing import Final

from controlplane.translate.annotations.draft import Draft, PlannedFailover
from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import OWN, Annotation

MODE: Final = Annotation(
    "failover",
    (OWN,),
    None,
    "says whether requests may go to another cluster when their own is dead",
    type="word",
    allowed="auto, none",
    default="auto",
    example="none",
)
CLUSTERS: Final = Annotation(
    "failover-clusters",
    (OWN,),
    None,
    "names the only clusters that requests may go to when their own is dead",
    type="comma list",
    allowed="ids of attached clusters",
    default="every attached cluster",
    example="cluster-2,cluster-3",
)
ROWS: Final = (MODE, CLUSTERS)
MODE_KEY: Final = MODE.keys[0]
CLUSTERS_KEY: Final = CLUSTERS.keys[0]


def apply(reader: Reader, draft: Draft) -> None:
    draft.failover = parse(reader)


def parse(reader: Reader) -> PlannedFailover:
    """Return where a route may fail over to.

    An unusable value is an error of the Ingress, never the default: these annotations keep data
    out of a cluster.
    """
    mode = reader.given(MODE)
    if mode is not None and mode.text not in ("auto", "none"):
        reader.reject(mode, "is not a failover mode", MODE.allowed)
    closed = mode is not None and mode.text == "none"
    clusters = reader.given(CLUSTERS)
    if clusters is None:
        return PlannedFailover(() if closed else None)
    named = comma_list(clusters.text)
    if not named:
        reader.reject(clusters, "names no cluster", "a comma list of ids")
    if closed:
        reader.reject(clusters, f"contradicts {MODE_KEY} = none", "one of the two annotations")
        return PlannedFailover(())
    return PlannedFailover(named)
