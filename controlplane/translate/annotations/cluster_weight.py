"""alb.ingress.kubernetes.io/cluster-weight.<id>: the share of each cluster, in percent."""

from collections.abc import Mapping
from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation, field_of
from controlplane.translate.dialects import Dialect

CLUSTER_WEIGHT: Final = Annotation(
    "cluster-weight.*",
    (ALB,),
    Dialect.ALB,
    "gives the cluster with this id its part of the traffic, in percent; 0 makes it a standby",
    type="integer",
    allowed="an integer from 0 to 100; those of an Ingress sum to 100",
    default="every ready pod of every cluster counts the same",
    example="20",
)
ROWS: Final = (CLUSTER_WEIGHT,)
FAMILY: Final = ALB + "cluster-weight."


def apply(reader: Reader, draft: Draft) -> None:
    draft.weights = parse(reader)


def parse(reader: Reader) -> dict[str, int]:
    """Return the weights by cluster id, as written; {} when there are none or they are unusable.

    The sum is over the weights as written, whether or not a cluster exists: 60 for a known and 40 for an
    unknown cluster is a valid annotation whose unknown cluster is skipped; 60 alone is a mistake.
    """
    written = reader.members(CLUSTER_WEIGHT)
    weights: dict[str, int] = {}
    for given in written:
        weight = integer(given.text, 0, 100)
        if weight is None:
            reader.findings.add("FG0405", given.field, given.text)
        else:
            weights[given.suffix] = weight
    if len(weights) < len(written):
        return {}
    total = sum(weights.values())
    if weights and total != 100:
        reader.findings.add("FG0404", field_of(FAMILY + "*"), _listing(weights), total=total)
        return {}
    return weights


def _listing(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{cluster}={weight}" for cluster, weight in weights.items())
