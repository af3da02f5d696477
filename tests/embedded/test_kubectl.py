"""kubectl as the client: it must not notice that this is no kube-apiserver."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.embedded import Kubectl, server_process, until

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {a: b}}
spec:
  ingressClassName: alb
  rules:
  - host: example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: "a:1"}, {name: b, image: "b:1", env: [{name: X, value: "1"}]}]}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    directory = tmp_path_factory.mktemp("cluster")
    with server_process(directory) as (_, kubeconfig):
        yield Kubectl(kubeconfig, directory)


@pytest.fixture
def kubectl(cluster: Kubectl, request: pytest.FixtureRequest) -> Iterator["InNamespace"]:
    name = request.node.name.replace("_", "-")[:60].rstrip("-")
    cluster("create", "namespace", name)
    yield InNamespace(cluster, name)
    cluster("delete", "namespace", name, "--wait=false")


class InNamespace:
    """kubectl in the namespace of one test."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        return self._kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def fails(self, *arguments: str, stdin: str = "") -> str:
        return self._kubectl.fails("-n", self.namespace, *arguments, stdin=stdin)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return self._kubectl.start("-n", self.namespace, *arguments)


def test_typed_create_commands(kubectl: InNamespace) -> None:
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=0", "--port=80")
    kubectl("create", "service", "clusterip", "web", "--tcp=80:8080")
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    kubectl("create", "ingress", "web", "--rule=example.com/x*=web:80", "--class=alb")
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "0"
    assert kubectl("get", "svc,cm,secret,ing", "-o", "name").split() == [
        "service/web", "configmap/c", "secret/s", "ingress.networking.k8s.io/web",
    ]  # fmt: skip
    wide = kubectl("get", "deploy", "-o", "wide", "--show-labels")
    assert wide.split("\n")[0].split() == [
        "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR", "LABELS",
    ]  # fmt: skip
    assert "service/web" in kubectl("get", "all")
    assert kubectl("get", "cm", "c", "-o", "custom-columns=N:.metadata.name,A:.data.a").split() == [
        "N",
        "A",
        "c",
        "b",
    ]


def test_apply_twice_changes_nothing_and_a_diff_shows_what_would(kubectl: InNamespace) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=DEPLOYMENT + "---" + INGRESS)
    assert kubectl("apply", "-f", "-", stdin=DEPLOYMENT + "---" + INGRESS).count("unchanged") == 2
    changed = DEPLOYMENT.replace("b:1", "b:2").replace(', env: [{name: X, value: "1"}]', "")
    assert kubectl.fails("diff", "-f", "-", stdin=changed) == ""
    assert "configured" in kubectl("apply", "-f", "-", stdin=changed)
    container = json.loads(
        kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[1]}")
    )
    assert container["image"] == "b:2"
    assert "env" not in container
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.metadata.generation}") == "2"


def test_server_side_apply_conflicts_until_forced(kubectl: InNamespace) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    kubectl("scale", "deploy/web", "--replicas=5")
    refused = kubectl.fails("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert 'conflict with "kubectl"' in refused
    assert ".spec.replicas" in refused
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DEPLOYMENT)
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"


def test_client_side_apply_turns_into_server_side_apply(kubectl: InNamespace) -> None:
    kubectl("apply", "-f", "-", stdin=INGRESS)
    kubectl("apply", "--server-side", "-f", "-", stdin=INGRESS.replace("a: b", "c: d"))
    found = json.loads(kubectl("get", "ing", "web", "-o", "json"))["metadata"]["annotations"]
    assert "a" not in found
    assert found["c"] == "d"


def test_scale_patch_label_annotate_replace_and_edit(kubectl: InNamespace) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl("scale", "deploy/web", "--current-replicas=2", "--replicas=3")
    assert "Expected replicas" in kubectl.fails("scale", "deploy/web", "--current-replicas=2", "--replicas=4")
    kubectl(
        "patch",
        "deploy",
        "web",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"a","$patch":"delete"}]}}}}',
    )
    kubectl(
        "patch",
        "deploy",
        "web",
        "--type=json",
        "-p",
        '[{"op":"add","path":"/metadata/labels","value":{"x":"y"}}]',
    )
    kubectl(
        "patch",
        "deploy",
        "web",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{"readyReplicas":3}}',
    )
    kubectl("label", "deploy", "web", "x=z", "--overwrite")
    kubectl("annotate", "deploy", "web", "note=1")
    kubectl("set", "image", "deploy/web", "b=b:9")
    obj = json.loads(kubectl("get", "deploy", "web", "-o", "json"))
    assert [c["image"] for c in obj["spec"]["template"]["spec"]["containers"]] == ["b:9"]
    assert (obj["metadata"]["labels"], obj["status"], obj["spec"]["replicas"]) == (
        {"x": "z"},
        {"readyReplicas": 3},
        3,
    )
    kubectl("replace", "-f", "-", stdin=DEPLOYMENT)
    assert "2" in kubectl("get", "deploy", "web", "--no-headers").split()[1]


def test_waiting_and_rollout_status_follow_the_status(kubectl: InNamespace) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    waiting = kubectl.start("rollout", "status", "deploy/web", "--timeout=20s")
    status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
        "availableReplicas": 2,
              "conditions": [{"type": "Available", "status": "True"}]}  # fmt: skip
    kubectl(
        "patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )
    assert "successfully rolled out" in waiting.communicate(timeout=25)[0]
    kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=5s")
    kubectl("wait", "--for=jsonpath={.status.replicas}=2", "deploy/web", "--timeout=5s")
    kubectl("delete", "deploy", "web", "--wait=false")
    kubectl("wait", "--for=delete", "deploy/web", "--timeout=5s")


def test_watching_prints_rows_as_they_change(kubectl: InNamespace) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    watching = kubectl.start("get", "deploy", "-w", "--no-headers")
    assert watching.stdout is not None
    assert watching.stdout.readline().split()[1] == "0/2"
    kubectl("scale", "deploy/web", "--replicas=7")
    assert watching.stdout.readline().split()[1] == "0/7"
    watching.terminate()
    watching.communicate()


def test_delete_by_label_all_and_with_finalizers(kubectl: InNamespace) -> None:
    for name in ("a", "b", "c"):
        kubectl("create", "configmap", name)
    kubectl("label", "cm", "a", "x=y")
    assert kubectl("delete", "cm", "-l", "x=y", "-o", "name").split() == ["configmap/a"]
    kubectl("patch", "cm", "b", "-p", '{"metadata":{"finalizers":["example.com/x"]}}')
    kubectl("delete", "cm", "b", "--wait=false")
    assert kubectl("get", "cm", "b", "-o", "jsonpath={.metadata.deletionTimestamp}")
    kubectl("patch", "cm", "b", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    kubectl("delete", "cm", "--all", "--grace-period=0")
    assert kubectl("get", "cm", "-o", "name") == ""


def test_describe_shows_events(kubectl: InNamespace) -> None:
    kubectl("apply", "-f", "-", stdin=INGRESS)
    uid = kubectl("get", "ing", "web", "-o", "jsonpath={.metadata.uid}")
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "type": "Warning",
        "reason": "InvalidAnnotation",
             "message": "sum is 90", "lastTimestamp": "2024-01-01T00:00:00Z",
             "source": {"component": "fleetgate"},
             "involvedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web",
             "namespace": kubectl.namespace, "uid": uid}}  # fmt: skip
    kubectl("create", "-f", "-", stdin=json.dumps(event))
    assert "InvalidAnnotation" in kubectl("describe", "ingress", "web")
    assert "ingress/web" in kubectl("get", "events")
    assert "sum is 90" in kubectl("events", "--for=ingress/web")


def test_errors_read_as_from_a_real_server(kubectl: InNamespace) -> None:
    missing = kubectl.fails("get", "cm", "none")
    assert missing == 'Error from server (NotFound): configmaps "none" not found\n'
    bad = INGRESS.replace("path: /,", "path: x,").replace("pathType: Prefix, ", "pathType: Exact, ")
    assert '.paths[0].path: Invalid value: "x": must be an absolute path' in kubectl.fails(
        "apply", "-f", "-", stdin=bad
    )
    unknown = INGRESS.replace("ingressClassName", "ingressclassname")
    assert 'unknown field "spec.ingressclassname"' in kubectl.fails("apply", "-f", "-", stdin=unknown)
    kubectl("create", "configmap", "a")
    assert 'configmaps "a" already exists' in kubectl.fails("create", "configmap", "a")


def test_discovery_commands(kubectl: InNamespace) -> None:
    row = ["ingresses", "ing", "networking.k8s.io/v1", "true", "Ingress"]
    assert row in [line.split() for line in kubectl("api-resources", "--no-headers").split("\n")]
    assert "discovery.k8s.io/v1" in kubectl("api-versions")
    assert "Server Version: v1." in kubectl("version")
    assert "pathType\t<string>" in kubectl("explain", "ingress.spec.rules.http.paths")
    assert "containers\t<[]Container>" in kubectl("explain", "deployment", "--recursive")
    assert "rules\t<[]Object>" in kubectl("explain", "ingress.spec", "--output=plaintext-openapiv2")
    unknown = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n"
    assert 'no matches for kind "Job" in version "batch/v1"' in kubectl.fails(
        "create", "-f", "-", stdin=unknown
    )
    assert kubectl("auth", "can-i", "delete", "ingresses").strip() == "yes"
    assert kubectl("get", "--raw", "/readyz") == "ok"


def test_a_namespace_goes_with_its_contents(cluster: Kubectl) -> None:
    cluster("create", "namespace", "going")
    cluster("-n", "going", "create", "configmap", "a")
    cluster("delete", "namespace", "going")
    assert "not found" in cluster.fails("get", "namespace", "going")


def test_definitions_and_their_objects(cluster: Kubectl, tmp_path: Path) -> None:
    for path in sorted((Path(__file__).parents[2] / "deploy" / "crds").glob("*.yaml")):
        cluster("apply", "-f", str(path))
    cluster("wait", "--for=condition=Established", "crd/albconfigs.alibabacloud.com", "--timeout=5s")
    albconfig = {"apiVersion": "alibabacloud.com/v1", "kind": "AlbConfig", "metadata": {"name": "gw"},
                 "spec": {"config": {"name": "gw"}, "listeners": [{"port": 8001,
                 "protocol": "HTTP"}]}}  # fmt: skip
    text = json.dumps(albconfig)
    cluster("apply", "-f", "-", stdin=text)
    cluster("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
    cluster(
        "patch",
        "albconfig",
        "gw",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{"loadBalancer":{"id":"alb-1"}}}',
    )
    table = cluster("get", "albconfig")
    assert table.split("\n")[0].split() == ["NAME", "ALBID", "DNSNAME", "PORT&PROTOCOL", "CERTID", "AGE"]
    assert table.split("\n")[1].split()[:2] == ["gw", "alb-1"]
    assert "Events:" in cluster("describe", "albconfig", "gw")
    assert "listeners" in cluster("explain", "albconfig.spec")
    assert "resolved again" in cluster("explain", "servergroup.spec.servers.address")
    cluster("delete", "albconfig", "gw")
    until(lambda: "No resources" in cluster.run("get", "albconfig").stderr)


def test_the_columns_of_a_server_group(cluster: Kubectl) -> None:
    cluster("apply", "-f", str(Path(__file__).parents[2] / "deploy/crds/servergroups.fleetgate.io.yaml"))
    cluster("wait", "--for=condition=Established", "crd/servergroups.fleetgate.io", "--timeout=5s")
    server = {"address": "10.0.0.1", "port": 80, "weight": "50"}
    group = {"apiVersion": "fleetgate.io/v1", "kind": "ServerGroup", "metadata": {"name": "idc"},
             "spec": {"id": "sgp-1", "servers": [server]}}  # fmt: skip
    cluster("apply", "-f", "-", stdin=json.dumps(group))
    conditions = [{"type": "ResolvedRefs", "status": "False"}, {"type": "Accepted", "status": "True"}]
    status = {"status": {"servers": 1, "endpoints": 2, "conditions": conditions}}
    cluster("patch", "sgp", "idc", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    head, row = cluster("get", "sgp").splitlines()
    assert head.split() == ["NAME", "ID", "SERVERS", "ENDPOINTS", "ACCEPTED", "RESOLVED", "AGE"]
    assert row.split()[:-1] == ["idc", "sgp-1", "1", "2", "True", "False"]
