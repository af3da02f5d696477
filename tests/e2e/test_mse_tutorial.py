"""The tutorial of MSE gateways on the demo's MseIngressConfig: its commands and what they print."""

import json
from functools import partial

import pytest

from controlplane.cli.demo import MSE_HOST
from tests.support.demo import RunningDemo, until

pytestmark = pytest.mark.xdist_group("demo")

GRAY = "stage: gray\r\n"
GATEWAY = "mseingressconfig/ackone-gateway"
LISTENERS = "fleetgate.io/listeners"
CLUSTERS = "mse.alibabacloud.com/remote-clusters"


def read(demo: RunningDemo, path: str) -> str:
    return demo.kubectl("fleet", "get", GATEWAY, f"-ojsonpath={{{path}}}")


def has(demo: RunningDemo, path: str, text: str) -> bool:
    return text in read(demo, path)


def annotate(demo: RunningDemo, key: str, value: str) -> None:
    demo.kubectl("fleet", "annotate", "--overwrite", GATEWAY, f"{key}={value}")


def test_the_gateway_listens_and_its_clusters_are_attached(demo: RunningDemo) -> None:
    until(lambda: read(demo, ".status.phase") == "Listening", "the gateway listens")
    table = demo.kubectl("fleet", "get", "mseingressconfig", "ackone-gateway").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "AGE"]
    assert table[1].split()[:2] == ["ackone-gateway", "Listening"]
    assert read(demo, ".status.remoteClusters") == '[{"clusterId":"cluster-1"},{"clusterId":"cluster-2"}]'
    balancer = json.loads(
        demo.kubectl(
            "fleet", "-nweb-demo", "get", "ingress/mse-web-demo", "-ojsonpath={.status.loadBalancer}"
        )
    )
    assert balancer["ingress"] == [{"ip": "127.0.0.1", "ports": [{"port": demo.mse_port, "protocol": "TCP"}]}]


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/svc1", "", {"cluster1": 50, "cluster2": 50}),
        ("/service1", "", {"cluster1": 100}),
        ("/service1", GRAY, {"cluster2": 100}),
        ("/svc1-w", "", {"cluster1": 90, "cluster2": 10}),
    ],
)
def test_the_scenarios(demo: RunningDemo, path: str, headers: str, expected: dict[str, int]) -> None:
    assert demo.tally(path, 100, host=MSE_HOST, extra=headers, port=demo.mse_port) == expected


def test_neither_gateway_serves_the_other_ones_rules(demo: RunningDemo) -> None:
    assert demo.tally("/svc1", 3, host=MSE_HOST) == {"404": 3}
    assert demo.tally("/svc1", 3, port=demo.mse_port) == {"404": 3}


def test_failover_of_a_header_canary_needs_no_configuration(demo: RunningDemo) -> None:
    ask = partial(demo.tally, "/service1", 20, host=MSE_HOST, extra=GRAY, port=demo.mse_port)
    demo.kubectl("cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=0")
    until(lambda: ask() == {"cluster1": 20}, "cluster-1 takes over")
    demo.kubectl("cluster-2", "-n", "web-demo", "scale", "deployment/web-demo", "--replicas=2")
    until(lambda: ask() == {"cluster2": 20}, "cluster-2 serves again")


def test_a_cluster_that_is_none_is_listed_as_failed(demo: RunningDemo) -> None:
    annotate(demo, CLUSTERS, "cluster-1,cluster-9")
    until(
        lambda: (
            json.loads(read(demo, ".status.remoteClusters"))
            == [{"clusterId": "cluster-1"}, {"clusterId": "cluster-9", "state": "Failed"}]
        ),
        "cluster-9 is told",
    )
    annotate(demo, CLUSTERS, "cluster-1,cluster-2")
    until(lambda: not has(demo, ".status.remoteClusters", "Failed"), "both are attached")
    ask = partial(demo.tally, "/svc1", 20, host=MSE_HOST, port=demo.mse_port)
    until(lambda: ask() == {"cluster1": 10, "cluster2": 10}, "both serve")


def test_a_port_of_another_gateway_is_a_failure_with_a_message_and_mends(demo: RunningDemo) -> None:
    annotate(demo, LISTENERS, json.dumps([{"HTTP": demo.port}]))
    until(lambda: read(demo, ".status.phase") == "Failed", "the gateway has failed")
    assert "belongs to the older AlbConfig ackone-gateway-demo" in read(demo, ".status.message")
    assert demo.tally("/single", 5) == {"cluster1": 5}
    until(
        lambda: "belongs to the older" in demo.kubectl("fleet", "describe", GATEWAY).partition("Events:")[2],
        "an Event that names the owner",
    )
    annotate(demo, LISTENERS, json.dumps([{"HTTP": demo.mse_port}]))
    until(lambda: read(demo, ".status.phase") == "Listening", "the gateway listens again")
    assert read(demo, ".status.message") == ""
