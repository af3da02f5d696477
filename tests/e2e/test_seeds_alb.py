"""The documents on disaster recovery and on hybrid attachment with ALB, beside the MSE gateway.

The four examples of the third ALB document are in test_tutorial.py.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.support.demo import ROOT, until
from tests.support.seeds import Seeds, answered, loop

RECOVERY = "alb.ingress.alibaba.com"
HYBRID = "demo.domain.ingress.top"

POD = """
apiVersion: v1
kind: Service
metadata: {{name: {service}}}
spec:
  selector: {{app: {service}}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {service}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {service}}}}}
  template:
    metadata: {{labels: {{app: {service}}}}}
    spec:
      containers:
      - name: demo
        image: fleetgate:latest
        env: [{{name: ENV_NAME, value: {env}}}]
        ports: [{{containerPort: 8080}}]
"""

SERVER_GROUP = """
apiVersion: fleetgate.io/v1
kind: ServerGroup
metadata:
  name: {name}
  namespace: default
spec:
  id: {identity}
  servers: {servers}
"""


def deploy(seeds: Seeds, service: str, env: str, namespace: str = "default") -> None:
    """Deploy one pod in each cluster; `env` gets the number of the cluster."""
    for number in (1, 2):
        text = POD.format(service=service, env=f"{env}{number}")
        seeds.demo.kubectl(f"cluster-{number}", "-n", namespace, "apply", "-f", "-", stdin=text)


def ask(seeds: Seeds, host: str, path: str, count: int) -> Counter[str]:
    return answered(loop(f"127.0.0.1:{seeds.demo.port}{path}", count, f"host: {host}"))


@pytest.fixture(scope="module")
def gateway(seeds: Seeds) -> None:
    seeds.apply("alb-gateway")
    path = "-ojsonpath={.status.loadBalancer.subClusters}"
    until(
        lambda: seeds.jsonpath("albconfig", "ackone-gateway-demo", path) == '["cluster-1","cluster-2"]',
        "both clusters are connected",
    )


@pytest.fixture(scope="module")
def recovery(seeds: Seeds, gateway: None) -> None:
    for server in ("fleet", "cluster-1", "cluster-2"):
        seeds.demo.kubectl(server, "create", "namespace", "gateway-demo")
    deploy(seeds, "service1", "poc_ack_", "gateway-demo")
    seeds.apply("alb-disaster-recovery", "-n", "gateway-demo")
    shares = {"poc_ack_1": 2, "poc_ack_2": 8}
    until(lambda: ask(seeds, RECOVERY, "/svc1", 10) == shares, "both clusters answer")


@pytest.mark.usefixtures("recovery")
def test_500_requests_by_weight(seeds: Seeds) -> None:
    assert ask(seeds, RECOVERY, "/svc1", 500) == {"poc_ack_1": 100, "poc_ack_2": 400}


@pytest.mark.usefixtures("recovery")
def test_the_pods_of_cluster_2_are_removed_in_the_middle_of_500_requests(seeds: Seeds) -> None:
    url = f"127.0.0.1:{seeds.demo.port}/svc1"
    under_way = loop(url, 500, f"host: {RECOVERY}", rate="200/s")
    seeds.demo.kubectl("cluster-2", "-n", "gateway-demo", "scale", "deployment/service1", "--replicas=0")
    answers = answered(under_way)
    assert set(answers) == {"poc_ack_1", "poc_ack_2"}
    assert answers.total() == 500
    assert ask(seeds, RECOVERY, "/svc1", 20) == {"poc_ack_1": 20}


@dataclass(frozen=True)
class Scenario:
    """A scenario with server groups: the IDs of its two, and how their servers are named."""

    manifest: str
    groups: tuple[str, str]
    address: str


SCENARIOS = {
    "2-same-network": Scenario(
        "alb-server-groups", ("sgp-71aexb9y93ypo00001", "sgp-slygpbvm2cydo00001"), "127.0.0.1"
    ),
    "3-another-region": Scenario(
        "alb-server-groups", ("sgp-71aexb9y93ypo00001", "sgp-slygpbvm2cydo00001"), "localhost"
    ),
    "4-own-data-center": Scenario(
        "alb-server-groups-idc", ("sgp-ihydxb9y93ypo00001", "sgp-pd0ipbvm2cydo00001"), "127.0.0.1"
    ),
}


@pytest.fixture(scope="module")
def services(seeds: Seeds, gateway: None) -> None:
    for name in ("tea", "coffee"):
        deploy(seeds, f"{name}-svc", name)


@pytest.mark.usefixtures("services")
def test_scenario_1_several_services(seeds: Seeds) -> None:
    seeds.apply("alb-two-services")
    expected = {"tea1": 40, "tea2": 40, "coffee1": 10, "coffee2": 10}
    until(lambda: set(ask(seeds, HYBRID, "/path", 20)) == set(expected), "both services answer")
    assert ask(seeds, HYBRID, "/path", 100) == expected
    seeds.delete("alb-two-services")


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("scenario", list(SCENARIOS.values()), ids=list(SCENARIOS))
def test_scenarios_with_server_groups(seeds: Seeds, scenario: Scenario) -> None:
    with ExitStack() as stack:
        for number, identity in enumerate(scenario.groups, start=1):
            stack.enter_context(server_group(seeds, number, identity, scenario.address))
        seeds.apply(scenario.manifest)
        expected = {"tea1": 15, "tea2": 15, "coffee1": 10, "coffee2": 10, "outside1": 30, "outside2": 20}
        until(lambda: set(ask(seeds, HYBRID, "/path", 20)) == set(expected), "all answer")
        assert ask(seeds, HYBRID, "/path", 100) == expected
        seeds.delete(scenario.manifest)


@contextmanager
def server_group(seeds: Seeds, number: int, identity: str, address: str) -> Iterator[None]:
    """A server outside the clusters, in a group of its own."""
    command = [sys.executable, "-m", "controlplane.embedded.webdemo", f"--env=outside{number}", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split()[1])
            servers = json.dumps([{"address": address, "port": port}])
            text = SERVER_GROUP.format(name=f"outside-{number}", identity=identity, servers=servers)
            seeds.demo.kubectl("fleet", "apply", "-f", "-", stdin=text)
            yield
            seeds.demo.kubectl("fleet", "delete", "-f", "-", stdin=text)
        finally:
            server.terminate()
