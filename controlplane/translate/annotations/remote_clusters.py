"""alb.ingress.kubernetes.io/remote-clusters on an AlbConfig: the member clusters it uses."""

from collections.abc import Mapping
from typing import Final

from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.registry import ALB, field_of
from controlplane.translate.diagnostics import Findings, did_you_mean

KEY: Final = ALB + "remote-clusters"


def parse(
    annotations: Mapping[str, str], known_clusters: frozenset[str], findings: Findings
) -> tuple[str, ...]:
    """Return the attached clusters in the order written; unknown ids are reported and skipped."""
    text = annotations.get(KEY, "")
    known = ", ".join(sorted(known_clusters)) or "none"
    attached: list[str] = []
    for cluster in comma_list(text):
        if cluster in known_clusters:
            attached.append(cluster)
        else:
            hint = did_you_mean(cluster, known_clusters)
            findings.add("FG0402", field_of(KEY), text, cluster=cluster, hint=hint, known=known)
    if not attached:
        findings.add("FG0401", field_of(KEY), text, known=known)
    return tuple(attached)
