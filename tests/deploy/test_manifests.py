"""The manifests: valid YAML, sound schemas, and the scenarios the tutorial promises."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import controlplane.embedded
from controlplane.gateway.session_key import SECRET

ROOT = Path(__file__).parents[2]
PACKAGED = Path(controlplane.embedded.__file__).parent / "deploy"
FILES = sorted((ROOT / "deploy").rglob("*.yaml"))
CRDS = sorted((ROOT / "deploy/crds").glob("*.yaml"))
SHARES = ROOT / "deploy/rbac/fleet-shares.yaml"
HOST = "alb.ingress.alibaba.com"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in (schema.get("properties") or {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def schema_of(crd: Path) -> dict[str, Any]:
    (definition,) = documents(crd)
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_manifest_holds_complete_objects(path: Path) -> None:
    for item in documents(path):
        assert item["apiVersion"]
        assert item["kind"]
        assert item["metadata"]["name"]


@pytest.mark.parametrize("directory", ["crds", "demo"])
def test_the_package_carries_the_manifests(directory: str) -> None:
    source = ROOT / "deploy" / directory
    wanted = {path.relative_to(source): path.read_text() for path in source.rglob("*.yaml")}
    packaged = PACKAGED / directory
    assert {path.relative_to(packaged): path.read_text() for path in packaged.rglob("*.yaml")} == wanted
    assert wanted


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_crd_schemas_are_structural_and_described(path: Path) -> None:
    for where, node in nodes(schema_of(path)):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), where
        if where not in ("", ".metadata") and not where.endswith("[]"):
            assert node.get("description"), f"{where} has no description for kubectl explain"


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.stem)
def test_crds_have_the_scope_of_what_uses_them_and_keep_what_they_do_not_know(path: Path) -> None:
    (definition,) = documents(path)
    spec = definition["spec"]
    assert definition["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}"
    assert spec["scope"] == ("Namespaced" if spec["names"]["kind"] == "ServerGroup" else "Cluster")
    assert spec["versions"][0]["subresources"] == {"status": {}}
    for part in ("spec", "status"):
        assert schema_of(path)["properties"][part]["x-kubernetes-preserve-unknown-fields"] is True


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("albconfigs.alibabacloud.com", ["ALBID", "DNSNAME", "PORT&PROTOCOL", "CERTID", "AGE"]),
        ("mseingressconfigs.mse.alibabacloud.com", ["STATUS", "AGE"]),
        ("servergroups.fleetgate.io", ["ID", "SERVERS", "ENDPOINTS", "ACCEPTED", "RESOLVED", "AGE"]),
    ],
)
def test_kubectl_get_prints_the_columns_of_the_tutorials(name: str, columns: list[str]) -> None:
    (definition,) = documents(ROOT / f"deploy/crds/{name}.yaml")
    printed = definition["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in printed] == columns


def test_the_demo_has_the_four_scenarios() -> None:
    ingresses = documents(ROOT / "deploy/demo/fleet/20-ingresses.yaml")
    scenarios = {}
    for ingress in ingresses:
        (rule,) = ingress["spec"]["rules"]
        annotations = ingress["metadata"]["annotations"]
        assert rule["host"] == HOST
        assert json.loads(annotations["alb.ingress.kubernetes.io/listen-ports"]) == [{"HTTP": 8001}]
        weights = {
            key.rpartition("cluster-weight.")[2]: value
            for key, value in annotations.items()
            if "cluster-weight." in key
        }
        header = "alb.ingress.kubernetes.io/conditions.service1" in annotations
        scenarios[rule["http"]["paths"][0]["path"], header] = weights
    assert scenarios == {
        ("/default", False): {},
        ("/single", False): {"cluster-1": "100"},
        ("/svc1", True): {"cluster-2": "100"},
        ("/svc1", False): {"cluster-1": "20", "cluster-2": "80"},
    }


def test_the_demo_has_the_scenarios_of_the_mse_tutorial() -> None:
    scenarios = set()
    for ingress in documents(ROOT / "deploy/demo/fleet/40-mse-ingresses.yaml"):
        (rule,) = ingress["spec"]["rules"]
        annotations = ingress["metadata"].get("annotations", {})
        assert rule["host"] == "example.com"
        assert ingress["spec"]["ingressClassName"] == "mse"
        labels = annotations.get("mse.ingress.kubernetes.io/subset-labels", "")
        is_canary = "nginx.ingress.kubernetes.io/canary" in annotations
        scenarios.add((rule["http"]["paths"][0]["path"], labels.strip(), is_canary))
    cluster_1, cluster_2 = (f"topology.istio.io/cluster cluster-{number}" for number in (1, 2))
    assert scenarios == {
        ("/svc1", "", False),
        ("/service1", cluster_1, False),
        ("/service1", cluster_2, True),
        ("/svc1-w", cluster_1, False),
        ("/svc1-w", cluster_2, True),
    }


@pytest.mark.parametrize("number", [1, 2])
def test_each_cluster_runs_web_demo_under_its_own_name(number: int) -> None:
    namespace, service, deployment = documents(ROOT / f"deploy/demo/cluster-{number}/web-demo.yaml")
    assert namespace["metadata"]["name"] == "web-demo"
    assert service["metadata"]["name"] == "service1"
    assert service["spec"]["ports"][0]["port"] == 80
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["env"][0] == {"name": "ENV_NAME", "value": f"cluster{number}"}
    assert deployment["spec"]["replicas"] == 2


def test_the_manifest_that_lets_the_gateway_annotate_ingresses_gives_that_right_alone() -> None:
    (rules,) = (item["rules"] for item in documents(SHARES) if "rules" in item)
    assert rules == [{"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["patch"]}]


def test_events_that_happen_again_can_be_counted() -> None:
    roles = (item for item in documents(ROOT / "deploy/rbac/fleet.yaml") if "rules" in item)
    (verbs,) = (rule["verbs"] for role in roles for rule in role["rules"] if rule["resources"] == ["events"])
    assert set(verbs) == {"create", "get", "patch"}


def test_the_gateway_reads_its_session_key_alone() -> None:
    (role,) = (item for item in documents(ROOT / "deploy/rbac/fleet.yaml") if item["kind"] == "Role")
    secrets = [rule for rule in role["rules"] if rule["resources"] == ["secrets"]]
    assert role["metadata"]["namespace"] == "fleetgate-system"
    named = {tuple(rule["verbs"]): rule.get("resourceNames") for rule in secrets}
    assert named == {("create",): None, ("get",): [SECRET]}


def test_the_gateway_only_reads_members_and_writes_nothing_but_status_on_the_fleet() -> None:
    reads = {"get", "list", "watch"}
    for path in set((ROOT / "deploy/rbac").glob("*.yaml")) - {SHARES}:
        for item in documents(path):
            for rule in item.get("rules", ()):
                writes = set(rule["verbs"]) - reads
                assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
                for resource in rule["resources"] if writes else ():
                    if resource == "secrets":
                        assert (item["kind"], writes) == ("Role", {"create"}), path.name
                        continue
                    assert resource.endswith("/status") or resource in ("events", "leases"), path.name
                    assert path.name != "member.yaml"


def test_secrets_are_read_in_the_namespace_of_the_gateway_and_where_an_operator_binds_a_role() -> None:
    for path in (ROOT / "deploy/rbac").glob("*.yaml"):
        bound = {item["roleRef"]["name"] for item in documents(path) if "roleRef" in item}
        for item in documents(path):
            if any("secrets" in rule["resources"] for rule in item.get("rules", ())):
                if item["metadata"]["name"] == "fleetgate-certificates":
                    assert not bound, path.name
                    assert [rule["verbs"] for rule in item["rules"]] == [["list", "watch"]]
                    continue
                assert item["kind"] == "Role", path.name
                assert item["metadata"]["namespace"] == "fleetgate-system"
