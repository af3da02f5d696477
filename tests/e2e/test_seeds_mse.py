"""The document on MSE gateways, step by step, on the process that serves the ALB gateway as well.

Its commands read the Ingress in the namespace argocd, where its own manifests do not put it: web-demo here.
"""

import json
from collections import Counter

import pytest

from tests.support.demo import until
from tests.support.seeds import Seeds, answered, loop

GATEWAY = ("mseingressconfig", "ackone-gateway")
HOST = "host: example.com"
GRAY = "stage: gray"


@pytest.fixture(scope="module")
def gateway(seeds: Seeds) -> str:
    """The gateway of step 1, its clusters attached as in step 2, the Ingress of example 1: its address."""
    demo = seeds.demo
    seeds.apply("mse-gateway")
    demo.kubectl(
        "fleet", "annotate", "/".join(GATEWAY),
        "mse.alibabacloud.com/remote-clusters=cluster-1,cluster-2",
        f'fleetgate.io/listeners=[{{"HTTP": {demo.mse_port}}}]',
    )  # fmt: skip
    seeds.apply("mse-1-evenly")
    until(lambda: address(seeds) != "", "the Ingress has an address")
    return address(seeds)


def address(seeds: Seeds) -> str:
    text = seeds.jsonpath("ingress", "web-demo", "-nweb-demo", "-ojsonpath={.status.loadBalancer}")
    entries = json.loads(text or "{}").get("ingress", [])
    return f"{entries[0]['ip']}:{entries[0]['ports'][0]['port']}" if entries else ""


def ask(gateway: str, path: str, *headers: str, count: int = 50) -> Counter[str]:
    return answered(loop(f"{gateway}{path}", count, HOST, *headers))


def served(gateway: str, path: str, *headers: str, by: str) -> None:
    """Wait until one environment alone answers."""
    until(lambda: ask(gateway, path, *headers, count=5) == {by: 5}, f"{by} answers {path}")


def test_step_1_and_2_the_gateway_listens_and_has_its_clusters(seeds: Seeds, gateway: str) -> None:
    until(lambda: seeds.jsonpath(*GATEWAY, "-ojsonpath={.status.phase}") == "Listening", "it listens")
    table = [line.split() for line in seeds.jsonpath(*GATEWAY).splitlines()]
    assert table[0] == ["NAME", "STATUS", "AGE"]
    assert table[1][:2] == ["ackone-gateway", "Listening"]
    attached = seeds.jsonpath(*GATEWAY, "-ojsonpath={.status.remoteClusters}")
    assert attached == '[{"clusterId":"cluster-1"},{"clusterId":"cluster-2"}]'


def test_example_1_evenly(gateway: str) -> None:
    assert ask(gateway, "/svc1") == {"cluster1": 25, "cluster2": 25}


def test_example_2_a_single_cluster(seeds: Seeds, gateway: str) -> None:
    seeds.apply("mse-2-single-cluster")
    served(gateway, "/service1", by="cluster1")
    assert ask(gateway, "/service1") == {"cluster1": 50}


def test_example_3_by_header_and_4_failover(seeds: Seeds, gateway: str) -> None:
    seeds.apply("mse-2-single-cluster")
    seeds.apply("mse-3-header")
    served(gateway, "/service1", GRAY, by="cluster2")
    assert ask(gateway, "/service1", GRAY) == {"cluster2": 50}
    assert ask(gateway, "/service1") == {"cluster1": 50}
    under_way = loop(f"{gateway}/service1", 300, HOST, GRAY, rate="200/s")
    scale(seeds, 0)
    served(gateway, "/service1", GRAY, by="cluster1")
    answers = answered(under_way)
    assert set(answers) <= {"cluster1", "cluster2"}
    assert answers.total() == 300
    assert ask(gateway, "/service1", GRAY) == {"cluster1": 50}
    scale(seeds, 2)
    served(gateway, "/service1", GRAY, by="cluster2")


def scale(seeds: Seeds, replicas: int) -> None:
    where = ("-n", "web-demo", "scale", "deployment/web-demo")
    seeds.demo.kubectl("cluster-2", *where, f"--replicas={replicas}")


def test_example_4_the_service_is_deleted(seeds: Seeds, gateway: str) -> None:
    seeds.apply("mse-2-single-cluster")
    seeds.apply("mse-3-header")
    served(gateway, "/service1", GRAY, by="cluster2")
    service = seeds.demo.kubectl("cluster-2", "-n", "web-demo", "get", "service/service1", "-ojson")
    seeds.demo.kubectl("cluster-2", "-n", "web-demo", "delete", "service/service1")
    served(gateway, "/service1", GRAY, by="cluster1")
    assert ask(gateway, "/service1", GRAY) == {"cluster1": 50}
    kept = json.loads(service)
    kept["metadata"] = {"name": "service1", "namespace": "web-demo"}
    seeds.demo.kubectl("cluster-2", "create", "-f", "-", stdin=json.dumps(kept))
    served(gateway, "/service1", GRAY, by="cluster2")


def test_example_5_by_weight(seeds: Seeds, gateway: str) -> None:
    seeds.apply("mse-5-weight")
    until(lambda: "cluster2" in ask(gateway, "/svc1-w", count=10), "both of the two Ingresses are served")
    assert ask(gateway, "/svc1-w") == {"cluster1": 45, "cluster2": 5}
