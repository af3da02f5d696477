"""The documents on ALB gateways with two clusters, and on disaster recovery with them: every example.

Their manifests are in `seeds/` as the documents have them, without comments. What is done differently:

- The port 8001 is a free one, IDs of clusters are the demo's, the name of the gateway is its address.
- The application is deployed with kubectl: step 1 of disaster recovery has GitOps do it.
- The loops are one curl each and do not pause for a second; the one in which pods go away ends with the test.
"""

import json
import re
from collections.abc import Iterator

import pytest

from loadtest.ports import free_port
from tests.support.demo import until
from tests.support.seeds import Example, Question, Seeds, ask, looping

pytestmark = pytest.mark.xdist_group("seeds")

GATEWAY = ("albconfig", "ackone-gateway-demo")
INGRESS = ("-n", "demo", "ingress/alb-ingress")
HOST = "host: alb.ingress.alibaba.com"
GRAY = "stage: gray"
BLUE = "stage: blue"
BY_PODS = {"cluster1": 25, "cluster2": 75}  # 1 pod and 3

EXAMPLES = (
    Example("1: default load balancing", ("alb-1-by-replica-count",), (Question("/", (), BY_PODS),)),
    Example("2: single cluster", ("alb-2-single-cluster",), (Question("/", (), {"cluster1": 50}),)),
    Example(
        "2: a cluster that does not exist is skipped",
        ("alb-2-single-cluster",),
        (Question("/", (), BY_PODS),),
        as_written=True,
    ),
    Example(
        "3: by header",
        ("alb-3-header",),
        (
            Question("/", (GRAY,), {"cluster1": 50}),
            Question("/", (BLUE,), {"404": 5}),
            Question("/", (), {"404": 5}),
        ),
    ),
    Example(
        "3: a cluster that does not exist is skipped",
        ("alb-3-header",),
        (Question("/", (GRAY,), BY_PODS), Question("/", (), {"404": 5})),
        as_written=True,
    ),
    Example("4: by weight", ("alb-4-weight",), (Question("/", (), {"cluster1": 60, "cluster2": 40}),)),
)
"""Step 2 of the document that creates an ALB gateway."""


@pytest.fixture(scope="module")
def application(seeds: Seeds) -> Iterator[Seeds]:
    """The namespace of the examples: one pod in cluster-1, three in cluster-2."""
    seeds.namespace("demo")
    seeds.deploy("service1", ("cluster1", "cluster2"), "demo", replicas=(1, 3))
    with seeds.applied("alb-1-by-replica-count"):
        until(lambda: is_answered(seeds, Question("/", (), BY_PODS)), "all four pods serve")
        yield seeds


def is_answered(seeds: Seeds, question: Question) -> bool:
    url = f"{seeds.alb}{question.path}"
    return ask(url, question.count, HOST, *question.headers) == question.answers


def clusters(seeds: Seeds) -> str:
    return seeds.kubectl("get", *GATEWAY, "-ojsonpath={.status.loadBalancer.subClusters}")


def test_step_1_the_gateway_has_an_address_and_its_clusters(seeds: Seeds) -> None:
    until(lambda: clusters(seeds) == '["cluster-1","cluster-2"]', "both clusters are connected")
    header, row = (line.split() for line in seeds.kubectl("get", *GATEWAY).splitlines())
    assert header == ["NAME", "ALBID", "DNSNAME", "PORT&PROTOCOL", "CERTID", "AGE"]
    name, identity, address, listener, _age = row  # no certificate
    assert (name, address, listener) == ("ackone-gateway-demo", "127.0.0.1", f"{seeds.demo.port}/HTTP")
    assert identity.startswith("alb-")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.section)
def test_step_2_example(application: Seeds, example: Example) -> None:
    for name in example.manifests:
        application.apply(name, as_written=example.as_written)
    until(lambda: is_answered(application, example.questions[0]), "the example is served")
    assert all(is_answered(application, question) for question in example.questions * 3)  # no luck
    if example.as_written:
        until(lambda: "c6XXXXXXXXXXXXXXXXXXXXXXXXX is not attached" in events(application), "it is told")


def events(seeds: Seeds) -> str:
    return seeds.kubectl("-n", "demo", "describe", "ingress/alb-ingress").partition("Events:")[2]


def test_weights_have_to_sum_to_100_and_the_last_good_ones_stay(application: Seeds) -> None:
    application.apply("alb-4-weight")
    weights = Question("/", (), {"cluster1": 60, "cluster2": 40})
    until(lambda: is_answered(application, weights), "the weights are served")
    key = "alb.ingress.kubernetes.io/cluster-weight.cluster-1"
    application.kubectl("-n", "demo", "annotate", "--overwrite", "ingress/alb-ingress", f"{key}=30")
    until(lambda: "sum to 70" in events(application), "an Event that names the sum")
    assert is_answered(application, weights)


def test_troubleshooting_wrong_ids_leave_no_cluster_and_are_described(application: Seeds) -> None:
    application.apply("alb-1-by-replica-count")
    try:
        application.apply("alb-gateway", as_written=True)
        until(lambda: clusters(application) == "[]", "no cluster is connected")
        until(lambda: ask(f"{application.alb}/", 5, HOST) == {"503": 5}, "nobody can serve")
        until(lambda: told(application) == {"${cluster1}", "${cluster2}"}, "an Event for each ID")
    finally:
        application.apply("alb-gateway")
    until(lambda: is_answered(application, Question("/", (), BY_PODS)), "both clusters serve again")


def told(seeds: Seeds) -> set[str]:
    """Return the IDs of clusters that an Event of the gateway complains about."""
    text = seeds.kubectl("describe", *GATEWAY).partition("Events:")[2]
    return set(re.findall(r"cluster (\S+) is not a member", text))


def test_listeners_open_and_close_with_the_albconfig(application: Seeds) -> None:
    application.apply("alb-1-by-replica-count")
    other = free_port()
    listeners = [{"port": port, "protocol": "HTTP"} for port in (application.demo.port, other)]

    def listen(entries: list[dict[str, object]]) -> None:
        patch = json.dumps({"spec": {"listeners": entries}})
        application.kubectl("patch", *GATEWAY, "--type=merge", "-p", patch)

    listen(listeners)
    ports = f'[{{"HTTP": {application.demo.port}}},{{"HTTP": {other}}}]'
    application.kubectl(
        "-n", "demo", "annotate", "--overwrite", "ingress/alb-ingress",
        f"alb.ingress.kubernetes.io/listen-ports={ports}",
    )  # fmt: skip
    until(lambda: ask(f"127.0.0.1:{other}/", 4, HOST).total() == 4, "the new port answers")
    listen(listeners[:1])
    until(lambda: "Couldn't connect" in str(ask(f"127.0.0.1:{other}/", 1, HOST)), "it is closed again")
    assert is_answered(application, Question("/", (), BY_PODS))


@pytest.fixture(scope="module")
def recovery(seeds: Seeds) -> Iterator[Seeds]:
    """Steps 1 and 3 of disaster recovery."""
    seeds.namespace("gateway-demo")
    seeds.deploy("service1", ("poc-ack-1", "poc-ack-2"), "gateway-demo")
    with seeds.applied("alb-disaster-recovery"):
        until(lambda: has_shares(seeds, 10), "both clusters serve")
        yield seeds


def has_shares(seeds: Seeds, count: int) -> bool:
    shares = {"poc-ack-1": count // 5, "poc-ack-2": count * 4 // 5}
    return ask(f"{seeds.alb}/svc1", count, HOST) == shares


def test_step_4_500_requests_by_weight(recovery: Seeds) -> None:
    assert has_shares(recovery, 500)


def test_step_4_the_pods_of_cluster_2_are_removed_during_500_requests(recovery: Seeds) -> None:
    with looping(f"{recovery.alb}/svc1", HOST) as under_way:
        until(lambda: under_way.has("poc-ack-1", "poc-ack-2"), "both clusters serve")
        with recovery.scaled_to_0("cluster-2", "gateway-demo", "service1", replicas=1):
            until(lambda: under_way.goes_to("poc-ack-1", 500), "cluster-1 serves alone")
            assert set(under_way.answers) == {"poc-ack-1", "poc-ack-2"}
    until(lambda: has_shares(recovery, 10), "the shares return")


def test_models_a_secondary_cluster_serves_when_the_primary_has_no_pods(application: Seeds) -> None:
    """Primary and secondary, of the disaster recovery models: all the weight on one cluster."""
    application.apply("alb-2-single-cluster")
    until(lambda: ask(f"{application.alb}/", 8, HOST) == {"cluster1": 8}, "the primary serves")
    with looping(f"{application.alb}/", HOST) as under_way:
        until(lambda: under_way.has("cluster1"), "requests are under way")
        with application.scaled_to_0("cluster-1", "demo", "service1", replicas=1):
            until(lambda: under_way.goes_to("cluster2", 50), "the secondary serves")
            assert set(under_way.answers) == {"cluster1", "cluster2"}
    until(lambda: ask(f"{application.alb}/", 8, HOST) == {"cluster1": 8}, "the primary is back")
