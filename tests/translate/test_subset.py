"""service-subset and subset-labels: a cluster, labels of pods, and all pods when there is none."""

import pytest

from proxy.model.actions import Backend, Destination, Forward, Share, Split, SplitMode
from tests.support.mse import drafted, ingress, routed

CLUSTER = "topology.istio.io/cluster"


@pytest.mark.parametrize(
    ("name", "labels", "weights", "expected"),
    [
        ("x", f"{CLUSTER} c1", {"c1": 100}, {}),
        ("x", f"  {CLUSTER}   c1 \n", {"c1": 100}, {}),
        (None, "version v1\napp.io/stage gray", {}, {"app.io/stage": "gray", "version": "v1"}),
        ("x", f"version v1\n{CLUSTER} c2\n", {"c2": 100}, {"version": "v1"}),
        ("gray", None, {}, {"opensergo.io/canary-gray": "gray"}),
        (None, None, {}, {}),
    ],
)
def test_subsets(
    name: str | None, labels: str | None, weights: dict[str, int], expected: dict[str, str]
) -> None:
    written = {"service-subset": name, "subset-labels": labels}
    draft, found = drafted({key: value for key, value in written.items() if value is not None})
    assert (draft.weights, draft.labels, found) == (weights, expected, [])


@pytest.mark.parametrize(
    "labels",
    [
        "",
        f"{CLUSTER}",
        f"{CLUSTER} a b",
        "a=b c",
        "version v1\nversion v2",
        "/x y",
        "UP/x y",
        "a " + "b" * 64,
        "a é",
    ],
)
def test_labels_that_cannot_be_used(labels: str) -> None:
    _, (finding,) = drafted({"subset-labels": labels})
    assert (finding.code, finding.level) == ("FG0201", "error")
    assert CLUSTER in finding.allowed


def test_a_name_that_cannot_be_a_label() -> None:
    _, (finding,) = drafted({"service-subset": "a b"})
    assert finding.code == "FG0201"


@pytest.mark.parametrize("name", ["", "base"])
def test_the_base_subset_is_all_pods_and_that_is_told(name: str) -> None:
    draft, (finding,) = drafted({"service-subset": name})
    assert draft.labels == {}
    assert finding.code == "FG0202"


def test_a_cluster_serves_alone_while_it_can() -> None:
    routes, found = routed(ingress("web", {"subset-labels": f"{CLUSTER} c1"}))
    action = routes["web"].action
    assert isinstance(action, Forward)
    assert action.split == Split(SplitMode.WEIGHTS, (Share("c1", 100), Share("c2")))
    assert action.backends == (Backend("demo/web:80"),)
    assert found == []


def test_labels_are_kept_across_clusters_before_all_pods_serve() -> None:
    routes, _ = routed(ingress("web", {"subset-labels": "version v1"}))
    action = routes["web"].action
    assert isinstance(action, Forward)
    assert action.backends == (Backend("demo/web:80[version=v1]", fallbacks=(Destination("demo/web:80"),)),)


def test_a_cluster_that_is_not_attached_is_as_if_it_were_not_named() -> None:
    routes, (finding,) = routed(ingress("web", {"subset-labels": f"{CLUSTER} c9"}))
    action = routes["web"].action
    assert isinstance(action, Forward)
    assert action.split.mode is SplitMode.ENDPOINTS
    assert (finding.code, finding.value) == ("FG0403", "c9")
    assert finding.field == "metadata.annotations[mse.ingress.kubernetes.io/subset-labels]"
