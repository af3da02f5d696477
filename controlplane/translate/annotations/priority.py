"""fleetgate.io/cluster-priority: which clusters serve first, and which only when those cannot."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import OWN, Annotation

CLUSTER_PRIORITY: Final = Annotation(
    "cluster-priority",
    (OWN,),
    None,
    "puts clusters in priority levels: a level serves only when no cluster of an earlier one can",
    type="priority levels",
    allowed='ids of attached clusters, each once; "," between equals, ">" before the next level',
    default="all clusters are equal",
    example="cluster-1 > cluster-2,cluster-3",
)
ROWS: Final = (CLUSTER_PRIORITY,)


def apply(reader: Reader, draft: Draft) -> None:
    given = reader.given(CLUSTER_PRIORITY)
    if given is None:
        return
    levels = tuple(comma_list(level) for level in given.text.split(">"))
    named = [cluster for level in levels for cluster in level]
    if not all(levels):
        reader.reject(given, "has an empty priority level", CLUSTER_PRIORITY.allowed)
    elif len(named) != len(set(named)):
        reader.reject(given, "names a cluster twice", CLUSTER_PRIORITY.allowed)
    else:
        draft.priority_levels = levels
