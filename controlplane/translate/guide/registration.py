"""Pages of FG09: Secrets that register member clusters."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0901": Page(
        "A Secret of the gateway's namespace has the label fleetgate.io/cluster without a value.",
        'labels: {fleetgate.io/cluster: ""}',
        "Write the id of the cluster as the value of the label.",
    ),
    "FG0902": Page(
        "Two Secrets, or a Secret and --member, register one cluster. --member or the first Secret keeps it.",
        "labels: {fleetgate.io/cluster: cluster-1} on two Secrets",
        "Delete the Secret that is not meant, or give it the id of another cluster.",
    ),
    "FG0903": Page(
        "The Secret claims the id of a cluster, and the Secret that registered the cluster is gone. "
        "The cluster stays away, so that no author of Secrets takes its traffic over unseen.",
        "a Secret cluster-1-new after the Secret cluster-1 was deleted",
        "Create the Secret of the old name anew. If the new Secret is meant, write the old name into its "
        "annotation fleetgate.io/takes-over.",
    ),
    "FG0904": Page(
        "A Secret has taken the id of a cluster over, as its annotation says.",
        "annotations: {fleetgate.io/takes-over: cluster-1}",
        "Check that the cluster is the right one; then the annotation can go.",
    ),
    "FG0905": Page(
        "The kubeconfig of a registered cluster names another API server than before.",
        "server: https://10.0.0.1:6443, and before https://10.9.9.9:6443",
        "Check that the server is the right one. The finding goes with the next start of the gateway.",
    ),
}
