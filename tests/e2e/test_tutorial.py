"""The tutorial, as its documents tell it: objects applied with kubectl, requests with a host header."""

import json
from collections.abc import Iterator

import pytest

from tests.support.demo import RunningDemo, until

GATEWAY = """
apiVersion: alibabacloud.com/v1
kind: AlbConfig
metadata:
  name: ackone-gateway-demo
  annotations:
    # Add associated clusters that are used to handle traffic to the ALB multi-cluster instance.
    alb.ingress.kubernetes.io/remote-clusters: cluster-1,cluster-2
spec:
  config:
    name: one-alb-demo
    addressType: Internet
    addressAllocatedMode: Fixed
    zoneMappings:
    - vSwitchId: vsw-1
    - vSwitchId: vsw-2
  listeners:
  - port: {port}
    protocol: HTTP
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: alb
spec:
  controller: ingress.k8s.alibabacloud/alb
  parameters:
    apiGroup: alibabacloud.com
    kind: AlbConfig
    name: ackone-gateway-demo
"""

INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  annotations:
    alb.ingress.kubernetes.io/listen-ports: |
     [{{"HTTP": {port}}}]
{annotations}
  name: alb-ingress
  namespace: demo
spec:
  ingressClassName: alb
  rules:
  - host: tutorial.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: service1
            port:
              number: 80
"""

SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: service1
  namespace: demo
spec:
  selector: {app: demo}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: demo
  namespace: demo
spec:
  replicas: 1
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec:
      containers:
      - name: demo
        image: fleetgate:latest
        env: [{name: ENV_NAME, value: ENVIRONMENT}]
        ports: [{containerPort: 8080}]
"""

HOST = "tutorial.example.com"
GRAY = """    alb.ingress.kubernetes.io/conditions.service1: |
     [{
       "type": "Header",
       "headerConfig": {
         "key":"stage",
         "values": [
           "gray"
         ]
       }
     }]"""


def weight(cluster: str, share: int) -> str:
    return f'    alb.ingress.kubernetes.io/cluster-weight.{cluster}: "{share}"'


@pytest.fixture(scope="module", autouse=True)
def namespace(demo: RunningDemo) -> Iterator[None]:
    """A Service in a namespace of its own: one pod in cluster-1, three in cluster-2."""
    demo.kubectl("fleet", "create", "namespace", "demo")
    demo.kubectl("fleet", "apply", "-f", "-", stdin=GATEWAY.format(port=demo.port))
    for cluster, env, replicas in (("cluster-1", "cluster1", 1), ("cluster-2", "cluster2", 3)):
        demo.kubectl(cluster, "create", "namespace", "demo")
        demo.kubectl(cluster, "apply", "-f", "-", stdin=SERVICE.replace("ENVIRONMENT", env))
        demo.kubectl(cluster, "-n", "demo", "scale", "deployment/demo", f"--replicas={replicas}")
        demo.kubectl(cluster, "-n", "demo", "rollout", "status", "deployment/demo", "--timeout=30s")
    yield
    for cluster in ("fleet", "cluster-1", "cluster-2"):
        demo.kubectl(cluster, "delete", "namespace", "demo", "--wait=false")


def apply(demo: RunningDemo, *annotations: str) -> None:
    """Apply the tutorial's Ingress and wait until it is what is served."""
    demo.kubectl("fleet", "delete", "ingress", "-n", "demo", "--all")
    until(lambda: set(demo.tally("/", 1, host=HOST)) == {"404"}, "the old rule is gone")
    demo.kubectl(
        "fleet", "apply", "-f", "-", stdin=INGRESS.format(port=demo.port, annotations="\n".join(annotations))
    )
    gray = "stage: gray\r\n"
    until(lambda: set(demo.tally("/", 1, host=HOST, extra=gray)) != {"404"}, "the new rule is served")


def test_the_gateway_reports_its_address_and_clusters(demo: RunningDemo) -> None:
    table = demo.kubectl("fleet", "get", "albconfig", "ackone-gateway-demo").splitlines()
    assert table[0].split() == ["NAME", "ALBID", "DNSNAME", "PORT&PROTOCOL", "CERTID", "AGE"]
    assert table[1].split()[1].startswith("alb-")
    assert f"{demo.port}/HTTP" in table[1]
    path = "-ojsonpath={.status.loadBalancer.subClusters}"
    assert json.loads(demo.kubectl("fleet", "get", "albconfig", "ackone-gateway-demo", path)) == [
        "cluster-1",
        "cluster-2",
    ]


def test_without_annotation_by_replica_count(demo: RunningDemo) -> None:
    apply(demo)
    assert demo.tally("/", 400, host=HOST) == {"cluster1": 100, "cluster2": 300}


def test_a_single_cluster(demo: RunningDemo) -> None:
    apply(demo, weight("cluster-1", 100))
    assert demo.tally("/", 50, host=HOST) == {"cluster1": 50}


def test_a_cluster_that_does_not_exist_is_skipped(demo: RunningDemo) -> None:
    apply(demo, weight("c6XXXXXXXXXXXXXXXXXXXXXXXXX", 100))
    assert set(demo.tally("/", 40, host=HOST)) == {"cluster1", "cluster2"}


def test_by_header(demo: RunningDemo) -> None:
    apply(demo, GRAY, weight("cluster-2", 100))
    assert demo.tally("/", 50, host=HOST, extra="stage: gray\r\n") == {"cluster2": 50}
    assert demo.tally("/", 5, host=HOST, extra="stage: blue\r\n") == {"404": 5}
    assert demo.tally("/", 5, host=HOST) == {"404": 5}


def test_by_weight(demo: RunningDemo) -> None:
    apply(demo, weight("cluster-1", 60), weight("cluster-2", 40))
    assert demo.tally("/", 500, host=HOST) == {"cluster1": 300, "cluster2": 200}


def test_the_disaster_recovery_tutorial(demo: RunningDemo) -> None:
    apply(demo, weight("cluster-1", 20), weight("cluster-2", 80))
    answers = demo.tally("/svc1", 500, host=HOST)
    assert sum(answers.values()) == 500
    assert abs(answers["cluster1"] - 100) <= 2
    assert abs(answers["cluster2"] - 400) <= 2
    demo.kubectl("cluster-2", "-n", "demo", "scale", "deployment/demo", "--replicas=0")
    until(lambda: demo.tally("/svc1", 20, host=HOST) == {"cluster1": 20}, "cluster-1 takes over")
    demo.kubectl("cluster-2", "-n", "demo", "scale", "deployment/demo", "--replicas=3")
    until(
        lambda: demo.tally("/svc1", 100, host=HOST) == {"cluster1": 20, "cluster2": 80}, "the shares return"
    )


def test_a_bad_annotation_changes_nothing_and_says_why(demo: RunningDemo) -> None:
    apply(demo, weight("cluster-1", 60), weight("cluster-2", 40))
    key = "alb.ingress.kubernetes.io/cluster-weight.cluster-1"
    demo.kubectl("fleet", "-n", "demo", "annotate", "--overwrite", "ingress/alb-ingress", f"{key}=30")

    def event() -> bool:
        text = demo.kubectl("fleet", "-n", "demo", "describe", "ingress/alb-ingress")
        return "Warning" in text and "sum to 70" in text

    until(event, "an Event that names the sum")
    assert demo.tally("/", 100, host=HOST) == {"cluster1": 60, "cluster2": 40}


def test_listeners_open_and_close_with_the_albconfig(demo: RunningDemo) -> None:
    from loadtest.ports import free_port

    other = free_port()
    apply(demo)
    listeners = [{"port": demo.port, "protocol": "HTTP"}, {"port": other, "protocol": "HTTP"}]
    patch = ("patch", "albconfig", "ackone-gateway-demo", "--type=merge", "-p")
    demo.kubectl("fleet", *patch, json.dumps({"spec": {"listeners": listeners}}))
    demo.kubectl(
        "fleet", "-n", "demo", "annotate", "--overwrite", "ingress/alb-ingress",
        f'alb.ingress.kubernetes.io/listen-ports=[{{"HTTP": {demo.port}}},{{"HTTP": {other}}}]',
    )  # fmt: skip
    elsewhere = RunningDemo(other, demo.mse_port, demo.admin_port, demo.directory, demo.banner, demo.process)
    until(lambda: answers(elsewhere), "the new port answers")
    demo.kubectl("fleet", *patch, json.dumps({"spec": {"listeners": listeners[:1]}}))
    until(lambda: not answers(elsewhere), "the port is closed again")
    assert answers(demo)


def answers(demo: RunningDemo) -> bool:
    try:
        return set(demo.tally("/", 1, host=HOST)) <= {"cluster1", "cluster2"}
    except OSError:
        return False
