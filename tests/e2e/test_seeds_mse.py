"""The document on MSE gateways: every step and example, on the process that serves the ALB gateway as well.

Its manifests are in `seeds/` as the document has them, without comments. What is done differently:

- The gateway listens on a free port instead of 80, and IDs of clusters are those of the demo's.
- Commands that read the Ingress in the namespace argocd read it in web-demo, where its manifest puts it, and
  example 5 is applied without that namespace: kubectl refuses to put the objects of one into another.
- The loops are one curl each and do not pause for a second; those of example 4 end with the test.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.demo import until
from tests.support.seeds import Example, Loop, Question, Seeds, ask, looping

pytestmark = pytest.mark.xdist_group("seeds")

GATEWAY = ("mseingressconfig", "ackone-gateway")
CLUSTERS = "mse.alibabacloud.com/remote-clusters"
HOST = "host: example.com"
GRAY = "stage: gray"

EVENLY = Question("/svc1", (), {"cluster1": 25, "cluster2": 25})
SINGLE = Question("/service1", (), {"cluster1": 50})
CANARY = Question("/service1", (GRAY,), {"cluster2": 50})

EXAMPLES = (
    Example("1: evenly", ("mse-1-evenly",), (EVENLY,)),
    Example("2: a single cluster", ("mse-2-single-cluster",), (SINGLE,)),
    Example("3: by header", ("mse-2-single-cluster", "mse-3-header"), (CANARY, SINGLE)),
    Example("5: by weight", ("mse-5-weight",), (Question("/svc1-w", (), {"cluster1": 45, "cluster2": 5}),)),
)
"""Step 4. Example 4 is no manifest but what happens to example 3; it has tests of its own."""

TO_ALB = '{"spec": {"ingressClassName": "alb"}}'


def is_answered(seeds: Seeds, question: Question) -> bool:
    url = f"{seeds.mse}{question.path}"
    return ask(url, question.count, HOST, *question.headers) == question.answers


def attached(seeds: Seeds) -> str:
    return seeds.kubectl("get", *GATEWAY, "-ojsonpath={.status.remoteClusters}")


def test_steps_1_and_2_the_gateway_listens_then_has_its_clusters(seeds: Seeds) -> None:
    seeds.kubectl("annotate", "/".join(GATEWAY), f"{CLUSTERS}-")
    until(lambda: attached(seeds) == "[]", "it has no cluster, as in step 1")
    header, row = (line.split() for line in seeds.kubectl("get", *GATEWAY).splitlines())
    assert header == ["NAME", "STATUS", "AGE"]
    assert row[:2] == ["ackone-gateway", "Listening"]
    seeds.kubectl("annotate", "/".join(GATEWAY), f"{CLUSTERS}=cluster-1,cluster-2")
    both = '[{"clusterId":"cluster-1"},{"clusterId":"cluster-2"}]'
    until(lambda: attached(seeds) == both, "it has both clusters, as in step 2")
    until(lambda: seeds.kubectl("get", *GATEWAY, "-ojsonpath={.status.phase}") == "Listening", "it listens")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.section)
def test_step_4_example(seeds: Seeds, example: Example) -> None:
    with seeds.applied(*example.manifests):
        until(lambda: all(is_answered(seeds, question) for question in example.questions), "it is served")
        assert all(is_answered(seeds, question) for question in example.questions * 3)  # no luck


def test_example_1_the_ingress_has_the_address(seeds: Seeds) -> None:
    entry = {"ip": "127.0.0.1", "ports": [{"port": seeds.demo.mse_port, "protocol": "TCP"}]}
    with seeds.applied("mse-1-evenly"):
        until(lambda: balancer(seeds, "web-demo") == {"ingress": [entry]}, "it has the address")


def balancer(seeds: Seeds, ingress: str) -> object:
    path = "-ojsonpath={.status.loadBalancer}"
    return json.loads(seeds.kubectl("get", "ingress", ingress, "-nweb-demo", path) or "null")


def test_example_3_needs_a_base_of_its_own_path(seeds: Seeds) -> None:
    """The document says that example 1 is a base for it, too, but that one has another path."""
    with seeds.applied("mse-1-evenly", "mse-3-header"):
        until(lambda: is_answered(seeds, EVENLY), "example 1 is served")
        text = "the canary has no base and routes nothing"
        until(lambda: text in described(seeds, "web-demo-cluster-second"), "it is told")
        assert gray(seeds, 5) == {"404": 5}
        assert balancer(seeds, "web-demo-cluster-second") == {}
        with seeds.applied("mse-2-single-cluster"):
            until(lambda: is_answered(seeds, CANARY), "example 2 is the base that it needs")


def described(seeds: Seeds, ingress: str) -> str:
    return seeds.kubectl("-nweb-demo", "describe", f"ingress/{ingress}").partition("Events:")[2]


@pytest.fixture
def canary(seeds: Seeds) -> Iterator[Seeds]:
    """Example 3 on example 2."""
    with seeds.applied("mse-2-single-cluster", "mse-3-header"):
        until(lambda: is_answered(seeds, CANARY), "cluster-2 serves what is gray")
        yield seeds


def gray(seeds: Seeds, count: int) -> Counter[str]:
    return ask(f"{seeds.mse}/service1", count, HOST, GRAY)


@contextmanager
def asking_for_gray(seeds: Seeds) -> Iterator[Loop]:
    """Ask all the time, cluster-2 having answered before the block begins."""
    with looping(f"{seeds.mse}/service1", HOST, GRAY) as under_way:
        until(lambda: under_way.has("cluster2"), "requests are under way")
        yield under_way


def assert_turns_to_cluster_1(under_way: Loop) -> None:
    until(lambda: under_way.goes_to("cluster1", 50), "cluster-1 serves alone")
    assert set(under_way.answers) == {"cluster1", "cluster2"}  # and no request failed


def test_example_4_the_pods_of_cluster_2_are_removed(canary: Seeds) -> None:
    empty = canary.scaled_to_0("cluster-2", "web-demo", "web-demo", replicas=2)
    with asking_for_gray(canary) as under_way, empty:
        assert_turns_to_cluster_1(under_way)
        assert gray(canary, 50) == {"cluster1": 50}
    until(lambda: is_answered(canary, CANARY), "cluster-2 serves again")


def test_example_4_the_service_of_cluster_2_is_deleted(canary: Seeds) -> None:
    service = ("-n", "web-demo", "service/service1")
    kept = json.loads(canary.demo.kubectl("cluster-2", "get", *service, "-ojson"))
    kept["metadata"] = {"name": "service1", "namespace": "web-demo"}
    with asking_for_gray(canary) as under_way:
        canary.demo.kubectl("cluster-2", "delete", *service)
        try:
            assert_turns_to_cluster_1(under_way)
            assert gray(canary, 50) == {"cluster1": 50}
        finally:
            canary.demo.kubectl("cluster-2", "create", "-f", "-", stdin=json.dumps(kept))
    until(lambda: is_answered(canary, CANARY), "cluster-2 serves again")


def test_both_dialects_side_by_side_on_one_process(seeds: Seeds) -> None:
    """The same host and path in both classes: each listener has the rules of its own."""
    with seeds.applied("mse-2-single-cluster"):
        until(lambda: is_answered(seeds, SINGLE), "the MSE gateway serves it")
        assert ask(f"{seeds.alb}/service1", 5, HOST) == {"404": 5}
        seeds.kubectl("-nweb-demo", "patch", "ingress/web-demo-cluster-one", "--type=merge", "-p", TO_ALB)
        until(lambda: ask(f"{seeds.alb}/service1", 50, HOST).keys() == {"cluster1", "cluster2"}, "as ALB")
        assert ask(f"{seeds.mse}/service1", 5, HOST) == {"404": 5}
