"""remote-clusters on an AlbConfig or MseIngressConfig: the member clusters it uses."""

from typing import Final

import msgspec

from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, MSE_GATEWAY, Annotation, Scope, field_of
from controlplane.translate.diagnostics import did_you_mean
from controlplane.translate.dialects import Dialect


def _row(prefix: str, dialect: Dialect, scope: Scope) -> Annotation:
    return Annotation(
        "remote-clusters",
        (prefix,),
        dialect,
        "attaches member clusters to the gateway",
        type="comma list",
        allowed="ids of member clusters of the Fleet",
        scope=scope,
        example="cluster-1,cluster-2",
    )


REMOTE_CLUSTERS: Final = {
    Dialect.ALB: _row(ALB, Dialect.ALB, Scope.ALBCONFIG),
    Dialect.MSE: _row(MSE_GATEWAY, Dialect.MSE, Scope.MSEINGRESSCONFIG),
}
ROWS: Final = tuple(REMOTE_CLUSTERS.values())


class RemoteClusters(msgspec.Struct, frozen=True):
    """Cluster ids in the order written; `unknown` ones are no members of the Fleet."""

    attached: tuple[str, ...]
    unknown: tuple[str, ...]


def parse(reader: Reader, known_clusters: frozenset[str]) -> RemoteClusters:
    """Return the clusters of a gateway; unknown ids are reported."""
    row = REMOTE_CLUSTERS[reader.dialect]
    given = reader.given(row)
    text = given.text if given is not None else ""
    key = row.keys[0]
    field = field_of(key)
    known = ", ".join(sorted(known_clusters)) or "none"
    clusters = comma_list(text)
    unknown = tuple(cluster for cluster in clusters if cluster not in known_clusters)
    for cluster in unknown:
        hint = did_you_mean(cluster, known_clusters)
        reader.findings.add("FG0402", field, text, cluster=cluster, hint=hint, known=known)
    if len(unknown) == len(clusters):
        reader.findings.add("FG0401", field, text, known=known, key=key)
    return RemoteClusters(tuple(cluster for cluster in clusters if cluster in known_clusters), unknown)
