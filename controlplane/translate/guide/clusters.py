"""Pages of FG04: clusters."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0401": Page(
        "The gateway's object names no cluster, so there are no pods for any of its rules.",
        "metadata: {name: gateway} of an AlbConfig without annotations",
        "Name the clusters in the annotation remote-clusters.",
    ),
    "FG0402": Page(
        "The gateway's object names a cluster that is no member of the Fleet. The other clusters serve.",
        "alb.ingress.kubernetes.io/remote-clusters: cluster-1,cluster-3",
        "Correct the id, or register the cluster with --member or a Secret.",
    ),
    "FG0403": Page(
        "An annotation of the Ingress names a cluster that its gateway does not use.",
        'alb.ingress.kubernetes.io/cluster-weight.cluster-3: "20"',
        "Correct the id, or attach the cluster to the gateway.",
    ),
    "FG0404": Page(
        "The cluster weights of the Ingress do not sum to 100.",
        'cluster-weight.cluster-1: "20", cluster-weight.cluster-2: "70"',
        "Change the weights; 0 makes a cluster a standby.",
    ),
    "FG0405": Page(
        "A cluster weight is no whole number from 0 to 100.",
        'alb.ingress.kubernetes.io/cluster-weight.cluster-1: "20%"',
        "Write the number alone.",
    ),
}
