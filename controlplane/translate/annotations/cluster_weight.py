"""alb.ingress.kubernetes.io/cluster-weight.<id>: the share of each cluster, in percent."""

from collections.abc import Mapping
from typing import Final

from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.registry import ALB, field_of, members
from controlplane.translate.diagnostics import Findings

FAMILY: Final = ALB + "cluster-weight."


def parse(annotations: Mapping[str, str], findings: Findings) -> dict[str, int]:
    """Return the weights by cluster id, as written; {} when there are none or they are unusable.

    The sum is over what is written, whether or not a cluster exists: 60 for a known and 40 for an
    unknown cluster is a valid annotation whose unknown cluster is skipped; 60 alone is a mistake.
    """
    written = members(annotations, FAMILY)
    weights: dict[str, int] = {}
    for key, cluster, text in written:
        weight = integer(text, 0, 100)
        if weight is None:
            findings.add("FG0405", field_of(key), text)
        else:
            weights[cluster] = weight
    if len(weights) < len(written):
        return {}
    total = sum(weights.values())
    if weights and total != 100:
        findings.add("FG0404", field_of(FAMILY + "*"), _listing(weights), total=total)
        return {}
    return weights


def _listing(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{cluster}={weight}" for cluster, weight in weights.items())
