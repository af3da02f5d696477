"""Files through the translation: places of findings, what is assumed, what is not judged."""

from pathlib import Path

import pytest

from controlplane.files.catalogue import FILE_CATALOGUE
from controlplane.files.finding import Finding
from controlplane.files.reading import FileProblem
from controlplane.files.translation import Checked, check
from controlplane.translate.catalogue import CATALOGUE

GATEWAY = """\
apiVersion: alibabacloud.com/v1
kind: AlbConfig
metadata: {name: gw, annotations: {alb.ingress.kubernetes.io/remote-clusters: 'c1,c2'}}
spec: {listeners: [{port: 80, protocol: HTTP}]}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec:
  controller: ingress.k8s.alibabacloud/alb
  parameters: {apiGroup: alibabacloud.com, kind: AlbConfig, name: gw}
"""
INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations: {}
spec:
  ingressClassName: alb
  rules:
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


def checked(tmp_path: Path, **files: str) -> Checked:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return check([str(tmp_path)], {})


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{Path(f.place.file).name}:{f.place.line} {f.code}" for f in findings]


def test_codes_of_files_are_none_of_the_translation() -> None:
    assert not FILE_CATALOGUE.keys() & CATALOGUE.keys()
    assert all(entry.message and not entry.fix.endswith(".") for entry in FILE_CATALOGUE.values())


def test_complete_files_are_clean(tmp_path: Path) -> None:
    result = checked(tmp_path, gateway=GATEWAY, ingress=INGRESS)
    assert result.findings == ()
    assert [route.id for route in result.translation.snapshot.routes] == ["default/web/*/"]
    assert result.notes == (
        "backends are not judged: give the objects of the clusters with --member ID=PATH",
    )


def test_a_gateway_is_assumed_only_where_files_have_none(tmp_path: Path) -> None:
    ports = "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 8001}]'"
    weights = "alb.ingress.kubernetes.io/cluster-weight.east: '100'"
    text = INGRESS.replace("{}", "{" + f"{ports}, {weights}" + "}")
    result = checked(tmp_path, ingress=text)
    assert result.findings == ()
    assert result.notes[1] == "assumed: AlbConfig assumed with listeners HTTP:80, HTTP:8001 and clusters east"
    assert result.translation.snapshot.routes[0].ports == (8001,)
    result = checked(tmp_path, ingress=INGRESS.replace(": alb\n", ": abl\n"), gateway=GATEWAY)
    assert codes(result.findings) == ["ingress.yaml:7 FG0101"]
    assert "did you mean alb?" in result.findings[0].message


def test_backends_are_judged_by_the_objects_of_the_clusters(tmp_path: Path) -> None:
    for name, text in (("fleet", GATEWAY + "---\n" + INGRESS), ("one", SERVICE), ("two", "# none\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "all.yaml").write_text(text)
    fleet, one, two = (str(tmp_path / name) for name in ("fleet", "one", "two"))
    assert check([fleet], {"c1": [one], "c2": [two]}).findings == ()
    found = check([fleet], {"c1": [two], "c2": [two]}).findings
    assert codes(found) == ["all.yaml:21 FG0601"]
    found = check([fleet], {"c1": [one]}).findings
    assert codes(found) == ["all.yaml:3 FG0402"]


def test_values_of_server_groups_are_judged_at_their_place(tmp_path: Path) -> None:
    text = """\
apiVersion: fleetgate.io/v1
kind: ServerGroup
metadata: {name: idc}
spec:
  servers:
    - {address: idc.example.com, port: 80}
    - address: 10.1.0.1
      port: 0
"""
    assert codes(checked(tmp_path, group=text).findings) == ["group.yaml:8 FG0605"]


def test_a_document_that_is_no_object_is_a_finding(tmp_path: Path) -> None:
    text = "kind: Ingress\n---\n- 1\n---\napiVersion: v1\nkind: X\n---\na: {\n---\nb: 1\nb: 2\n"
    result = checked(tmp_path, a=text)
    assert codes(result.findings) == [
        "a.yaml:1 FG0111",
        "a.yaml:3 FG0111",
        "a.yaml:5 FG0111",
        "a.yaml:9 FG0110",
        "a.yaml:10 FG0111",
        "a.yaml:11 FG0112",
    ]


def test_an_object_written_twice_counts_once(tmp_path: Path) -> None:
    result = checked(tmp_path, a=INGRESS, b=INGRESS.replace("path: /,", "path: /b,"))
    assert codes(result.findings) == ["b.yaml:4 FG0113"]
    assert [route.path.value for route in result.translation.snapshot.routes] == ["/b"]
    result = checked(tmp_path, b=INGRESS.replace("ingressClassName: alb", "ingressClassName: [alb]"))
    assert codes(result.findings) == ["b.yaml:4 FG0113", "b.yaml:7 FG0100"]
    assert result.translation.snapshot.routes == ()


def test_annotations_that_are_no_text_are_judged_all_the_same(tmp_path: Path) -> None:
    order, keep = "alb.ingress.kubernetes.io/order", "alb.ingress.kubernetes.io/backend-keepalive"
    result = checked(tmp_path, a=INGRESS.replace("{}", f"\n    {order}: 5000\n    {keep}: on"))
    assert codes(result.findings) == [
        "a.yaml:6 FG0114",
        "a.yaml:6 FG0201",
        "a.yaml:7 FG0114",
        "a.yaml:7 FG0204",
    ]
    assert result.findings[0].fix == "write the value in quotes: '5000'"


def test_a_value_of_the_wrong_type_has_its_place(tmp_path: Path) -> None:
    result = checked(tmp_path, a=INGRESS.replace("name: web,", "name: [web],"))
    assert codes(result.findings) == ["a.yaml:9 FG0100"]
    assert result.findings[0].place.column > 60


def test_lists_are_opened(tmp_path: Path) -> None:
    item = "\n".join("    " + line for line in INGRESS.replace("order", "").splitlines())[4:]
    bad = item.replace("pathType: Prefix", "pathType: Prefx")
    result = checked(tmp_path, a=f"apiVersion: v1\nkind: List\nitems:\n  - {bad}\n")
    assert codes(result.findings) == ["a.yaml:12 FG0303"]


def test_other_versions_are_refused_and_other_kinds_left_alone(tmp_path: Path) -> None:
    old = INGRESS.replace("networking.k8s.io/v1", "extensions/v1beta1")
    foreign = INGRESS.replace("networking.k8s.io/v1", "config.openshift.io/v1")
    result = checked(tmp_path, a=old, b=foreign, c=SERVICE)
    assert codes(result.findings) == ["a.yaml:1 FG0115"]
    assert (result.objects, result.others) == (0, 2)


def test_files_are_read_once_and_bytes_that_are_no_text_are_a_finding(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a.yml").write_text("\ufeff" + INGRESS, encoding="utf-8")
    (tmp_path / "b.json").write_bytes(b'{"a":\n "\xff"}')
    result = check([str(tmp_path), str(tmp_path / "b.json")], {})
    assert (result.files, result.objects) == (2, 1)
    assert codes(result.findings) == ["b.json:2 FG0110"]


@pytest.mark.parametrize(("path", "said"), [("missing", "no such file"), ("", "no .yaml, .yml, .json")])
def test_paths_that_lead_nowhere_are_said(path: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=said):
        check([str(tmp_path / path)], {})
