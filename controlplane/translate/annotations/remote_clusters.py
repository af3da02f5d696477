"""alb.ingress.kubernetes.io/remote-clusters on an AlbConfig: the member clusters it uses."""

from typing import Final

from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation, Scope, field_of
from controlplane.translate.diagnostics import did_you_mean
from controlplane.translate.dialects import Dialect

REMOTE_CLUSTERS: Final = Annotation(
    "remote-clusters",
    (ALB,),
    Dialect.ALB,
    "attaches member clusters to the gateway",
    type="comma list",
    allowed="ids of member clusters of the Fleet",
    scope=Scope.ALBCONFIG,
    example="cluster-1,cluster-2",
)
ROWS: Final = (REMOTE_CLUSTERS,)


def parse(reader: Reader, known_clusters: frozenset[str]) -> tuple[str, ...]:
    """Return the attached clusters in the order written; unknown ids are reported and skipped."""
    given = reader.given(REMOTE_CLUSTERS)
    text = given.text if given is not None else ""
    field = field_of(REMOTE_CLUSTERS.keys[0])
    known = ", ".join(sorted(known_clusters)) or "none"
    attached: list[str] = []
    for cluster in comma_list(text):
        if cluster in known_clusters:
            attached.append(cluster)
        else:
            hint = did_you_mean(cluster, known_clusters)
            reader.findings.add("FG0402", field, text, cluster=cluster, hint=hint, known=known)
    if not attached:
        reader.findings.add("FG0401", field, text, known=known)
    return tuple(attached)
