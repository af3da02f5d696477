"""In which dialect files are judged, what is told of Ingresses that nothing serves, and what is invented."""

from pathlib import Path

import pytest
import yaml

from controlplane.files.finding import Finding
from controlplane.files.translation import Checked, check
from controlplane.translate.dialects import Dialect
from tests.files.test_check import GATEWAY

NGINX = "nginx.ingress.kubernetes.io/"
ALB = "alb.ingress.kubernetes.io/"
MSE = "mse.ingress.kubernetes.io/"
PROTECTED = {
    NGINX + "auth-url": "https://auth.example.com/verify",
    NGINX + "auth-type": "basic",
    NGINX + "configuration-snippet": "deny all;",
}
LIST = {NGINX + "whitelist-source-range": "10.0.0.0/8"}
MSE_GATEWAY = """\
apiVersion: mse.alibabacloud.com/v1alpha1
kind: MseIngressConfig
metadata: {name: gw, annotations: {mse.alibabacloud.com/remote-clusters: 'c1,c2'}}
spec: {ingress: {local: {ingressClass: mse}}}
"""


def ingress(annotations: dict[str, str], class_name: str | None = "web", name: str = "web") -> str:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    spec = {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}
    return yaml.safe_dump(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "annotations": annotations},
            "spec": spec | ({"ingressClassName": class_name} if class_name else {}),
        }
    )


def foreign_class(name: str = "nginx") -> str:
    return f"""\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: {name}}}
spec: {{controller: k8s.io/ingress-nginx}}
"""


def checked(tmp_path: Path, *texts: str, dialect: Dialect | None = None) -> Checked:
    (tmp_path / "all.yaml").write_text("---\n".join(texts))
    return check([str(tmp_path)], {}, dialect=dialect)


def codes(result: Checked) -> list[str]:
    return [finding.code for finding in result.findings if finding.level != "info"]


def served(result: Checked) -> int:
    return len(result.translation.snapshot.routes)


@pytest.mark.parametrize("class_name", ["web", "nginx", "internal-nginx", "alb", "mse", None])
@pytest.mark.parametrize("key", PROTECTED)
def test_a_protection_is_refused_whatever_the_class_is_called(
    class_name: str | None, key: str, tmp_path: Path
) -> None:
    result = checked(tmp_path, ingress({key: PROTECTED[key]}, class_name))
    assert "FG0210" in codes(result)


@pytest.mark.parametrize("class_name", ["web", "nginx", None])
def test_a_list_of_nginx_is_honoured_where_the_class_does_not_say_otherwise(
    class_name: str | None, tmp_path: Path
) -> None:
    result = checked(tmp_path, ingress(LIST, class_name))
    assert [finding.code for finding in result.findings if finding.level == "error"] == []
    (route,) = result.translation.snapshot.routes
    assert route.policies is not None
    assert route.policies.access is not None


def test_a_list_of_nginx_beside_annotations_of_alb_is_refused(tmp_path: Path) -> None:
    assert codes(checked(tmp_path, ingress({**LIST, ALB + "order": "5"}))) == ["FG0210"]
    assert codes(checked(tmp_path, GATEWAY, ingress(LIST, "alb"))) == ["FG0210"]
    assert codes(checked(tmp_path, ingress(LIST), dialect=Dialect.ALB)) == ["FG0210"]


@pytest.mark.parametrize(
    "annotations", [{}, {"fleetgate.io/failover": "none"}, {ALB + "order": "5", MSE + "timeout": "5"}]
)
def test_a_dialect_that_nothing_says_is_an_error(annotations: dict[str, str], tmp_path: Path) -> None:
    result = checked(tmp_path, ingress(annotations))
    assert codes(result) == ["FG0116"]
    assert served(result) == 0
    assert "--dialect" in result.findings[0].fix
    for dialect in Dialect:
        result = checked(tmp_path, ingress(annotations), dialect=dialect)
        assert "FG0116" not in codes(result)
        assert served(result) == 1


def test_ingresses_of_one_class_tell_of_each_other(tmp_path: Path) -> None:
    result = checked(tmp_path, ingress({}), ingress({MSE + "timeout": "5"}, name="other"))
    assert (codes(result), served(result)) == (["FG0701"], 2)  # both have the path /, and are judged


def test_an_object_of_the_files_outdoes_annotations(tmp_path: Path) -> None:
    result = checked(tmp_path, GATEWAY, ingress({MSE + "timeout": "5"}, "alb"))
    assert [finding.code for finding in result.findings] == ["FG0207"]
    result = checked(tmp_path, MSE_GATEWAY, ingress({MSE + "timeout": "5"}, "mse"))
    assert (codes(result), served(result)) == ([], 1)


def test_an_ingress_of_another_controller_says_so(tmp_path: Path) -> None:
    result = checked(tmp_path, foreign_class(), ingress(PROTECTED, "nginx"))
    (finding,) = result.findings
    assert (finding.code, finding.level, finding.field) == ("FG0117", "warning", "spec.ingressClassName")
    assert "belongs to the controller k8s.io/ingress-nginx" in finding.message
    assert "FG0210" in codes(
        checked(tmp_path, foreign_class(), ingress(PROTECTED, "nginx"), dialect=Dialect.MSE)
    )


def test_a_class_annotation_that_no_gateway_takes_is_a_finding(tmp_path: Path) -> None:
    text = ingress({"kubernetes.io/ingress.class": "contour"}, None)
    result = checked(tmp_path, GATEWAY, text)
    (finding,) = result.findings
    assert (finding.code, finding.value) == ("FG0117", "contour")
    assert finding.field == "metadata.annotations[kubernetes.io/ingress.class]"
    assert codes(checked(tmp_path, text)) == ["FG0116"]


def test_a_class_annotation_says_the_dialect_as_a_class_does(tmp_path: Path) -> None:
    result = checked(tmp_path, ingress({"kubernetes.io/ingress.class": "nginx", **PROTECTED}, None))
    assert codes(result) == ["FG0210"] * 3


@pytest.mark.parametrize("gateways", [(), (GATEWAY,), (MSE_GATEWAY,)])
def test_an_ingress_without_class_says_so(gateways: tuple[str, ...], tmp_path: Path) -> None:
    result = checked(tmp_path, *gateways, ingress({NGINX + "canary": "false"}, None))
    assert codes(result) == ["FG0117"]
    (finding,) = [each for each in result.findings if each.level != "info"]
    assert "names no class" in finding.message
    assert served(result) == (0 if gateways else 1)


def test_a_default_class_of_the_files_is_taken(tmp_path: Path) -> None:
    default = GATEWAY.replace(
        "metadata: {name: alb}",
        "metadata: {name: alb, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}",
    )
    result = checked(tmp_path, default, ingress({}, None))
    assert (codes(result), served(result)) == ([], 1)


def _texts(finding: Finding) -> str:
    return " ".join((finding.object, finding.message, finding.allowed, finding.fix))


@pytest.mark.parametrize(
    "annotations",
    [
        {ALB + "listen-ports": '[{"HTTPS": 443}]'},
        {ALB + "listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]'},
        {ALB + "listen-ports": '[{"QUIC": 443}]', ALB + "albconfig.name": "mine"},
        {ALB + "cluster-weight.c1": "50", ALB + "cluster-weight.c2": "50"},
        {MSE + "service-subset": "x", MSE + "subset-labels": "topology.istio.io/cluster c1"},
        {ALB + "order": "5", "fleetgate.io/failover-clusters": "c1"},
    ],
)
@pytest.mark.parametrize("members", [(), ("c9",)])
def test_no_finding_is_about_something_that_was_invented(
    annotations: dict[str, str], members: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "a.yaml").write_text(ingress(annotations))
    (tmp_path / "one.yaml").write_text("# none\n")
    given = {name: [str(tmp_path / "one.yaml")] for name in members}
    result = check([str(tmp_path / "fleet")], given)
    for finding in result.findings:
        assert finding.object == "Ingress default/web"
        assert "assumed" not in _texts(finding)
        assert "AlbConfig mine" not in _texts(finding)


def test_a_listener_that_is_not_supported_yet_is_told_without_any_gateway(tmp_path: Path) -> None:
    result = checked(tmp_path, ingress({ALB + "listen-ports": '[{"QUIC": 443}]'}))
    (finding,) = result.findings
    assert (finding.code, finding.level, finding.value) == ("FG0505", "warning", "QUIC:443")
    assert served(result) == 0
