"""`fleetgate validate` as users and their pipelines start it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.files.test_check import GATEWAY, INGRESS
from tests.support.command import fleetgate

BAD = INGRESS.replace("{}", "{alb.ingress.kubernetes.io/order: many, alb.ingress.kubernetes.io/ordr: '1'}")


MSE_GATEWAY = """\
---
apiVersion: mse.alibabacloud.com/v1alpha1
kind: MseIngressConfig
metadata: {name: mse}
spec: {ingress: {local: {ingressClass: mse}}}
"""


def validate(*args: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return fleetgate("validate", *args, stdin=text)


def test_clean_files_exit_0(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GATEWAY + "---\n" + INGRESS)
    done = validate("-f", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "no errors: 3 objects in 1 file, 1 route"


def test_findings_have_file_line_code_and_fix_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    done = validate("-f", str(tmp_path / "a.yaml"))
    assert (done.returncode, done.stderr) == (1, "")
    first, second, *_, last = done.stdout.splitlines()
    key = "metadata.annotations[alb.ingress.kubernetes.io/order]"
    assert first.startswith(f'{tmp_path}/a.yaml:5:17: error FG0201 {key} "many": is not ')
    assert "; allowed: an integer from 1 to 1000; fix: correct the value" in first
    assert " warning FG0213 " in second
    assert "did you mean order?" in second
    assert last == "1 error, 1 warning: 1 object in 1 file, 0 routes"


def test_warnings_count_with_strict() -> None:
    text = BAD.replace("many", "'5'")
    assert validate("-f", "-", text=text).returncode == 0
    done = validate("-f", "-", "--strict", text=text)
    assert done.returncode == 1
    assert done.stdout.startswith("<stdin>:5:")


def test_an_ingress_with_20_faults_prints_20_findings() -> None:
    paths = ", ".join(f"{{path: p{n}, pathType: Exact, backend: {{resource: {{}}}}}}" for n in range(10))
    done = validate("-f", "-", text=INGRESS.replace("[{path: /,", f"[{paths}, {{path: /,"))
    assert done.stdout.count(" error FG0302 ") == 10
    assert done.stdout.count(" error FG0305 ") == 10


def test_json_is_versioned() -> None:
    done = validate("-f", "-", "-o", "json", text=BAD)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert (document["apiVersion"], document["kind"]) == ("fleetgate.io/v1", "Validation")
    assert document["summary"] == {"errors": 1, "warnings": 1, "infos": 0, "objects": 1, "files": 1}
    assert document["findings"][0] | {"message": "", "allowed": "", "fix": ""} == {
        "file": "<stdin>",
        "line": 5,
        "column": 17,
        "level": "error",
        "code": "FG0201",
        "object": "Ingress default/web",
        "field": "metadata.annotations[alb.ingress.kubernetes.io/order]",
        "value": "many",
        "message": "",
        "allowed": "",
        "fix": "",
    }


def test_workflow_commands_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "a,b.yaml").write_text(BAD.replace("many", "100%"))
    done = validate("-f", str(tmp_path), "-o", "github")
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"::error file={tmp_path}/a%2Cb.yaml,line=5,col=17,title=FG0201::")
    assert '"100%25"' in first


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-f", "missing.yaml"), "fleetgate: missing.yaml: no such file"),
        (("-f", "-", "--member", "c1"), "fleetgate: --member 'c1' is not ID=PATH"),
        (("-f", "-", "--member", "c1=missing"), "fleetgate: missing: no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(args: tuple[str, ...], said: str) -> None:
    done = validate(*args)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_no_files_is_wrong_usage() -> None:
    assert validate().returncode == 2


SHARED = (
    GATEWAY
    + "---\n"
    + INGRESS.replace("- http", "- host: a.example.com\n      http")
    + "---\n"
    + INGRESS.replace("- http", "- host: a.example.com\n      http")
    .replace("name: web\n  annotations", "name: web\n  namespace: shop\n  annotations")
    .replace("path: /,", "path: /x,")
)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [((), 0, "FG0713"), (("--host-ownership", "namespace"), 1, "FG0715")],
    ids=["shared", "owned"],
)
def test_host_ownership_of_namespaces_is_an_option(args: tuple[str, ...], code: int, said: str) -> None:
    done = validate("-f", "-", *args, text=SHARED)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout


REDIRECTED = GATEWAY + "---\n" + INGRESS.replace("{}", '{alb.ingress.kubernetes.io/ssl-redirect: "true"}')


def test_files_are_judged_by_the_proxies_that_the_gateway_trusts() -> None:
    assert "warning FG0230" in validate("-f", "-", text=REDIRECTED).stdout
    assert "FG0230" not in validate("-f", "-", "--trusted-proxy", "10.0.0.0/8", text=REDIRECTED).stdout


def test_an_ingress_over_a_limit_of_the_gateway_is_an_error() -> None:
    text = GATEWAY + "---\n" + INGRESS
    assert validate("-f", "-", text=text).returncode == 0
    done = validate("-f", "-", "--limit", "max-ingress-bytes=599", text=text)
    assert (done.returncode, "FG0721" in done.stdout) == (1, True)


def test_a_limit_that_does_not_exist_is_wrong_usage() -> None:
    done = validate("-f", "-", "--limit", "max-hops=1", text=INGRESS)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


GRANT = """\
---
apiVersion: gateway.networking.k8s.io/{version}
kind: ReferenceGrant
metadata: {{name: may, namespace: shop}}
spec:
  from: [{{group: networking.k8s.io, kind: Ingress, namespace: default}}]
  to: [{{group: "", kind: Service}}]
"""


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha2", ""])
def test_grants_are_read_from_files(version: str) -> None:
    text = (
        INGRESS.replace("alb", "mse").replace(
            "{}", "{mse.ingress.kubernetes.io/destination: web.shop.svc.cluster.local:80}"
        )
        + MSE_GATEWAY
    )
    done = validate("-f", "-", text=text + (GRANT.format(version=version) if version else ""))
    assert ("FG0631" in done.stdout) == (version not in ("v1", "v1beta1"))
    assert ("FG0115" in done.stdout) == (version == "v1alpha2")
    assert "FG0631" not in validate("-f", "-", "--cross-namespace", "allow", text=text).stdout
