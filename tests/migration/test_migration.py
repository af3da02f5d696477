"""Manifests as people bring them from other controllers, and exactly what `validate` and the gateway say.

What is expected stands in expected/, and is rewritten, to be reviewed as a diff, by
`FLEETGATE_REGENERATE=1 python -m pytest tests/migration`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.files.translation import check
from controlplane.translate.closed import ANSWER
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import Translation
from proxy.model.actions import FixedResponse, Forward, Redirect
from proxy.model.snapshot import Route
from tests.support.tables import table_of
from tests.support.translation import endpoint_slice, pods, run_case, service

HERE = Path(__file__).parent
MANIFESTS = sorted((HERE / "manifests").glob("*.yaml"))
CLUSTERS = ("cluster-1", "cluster-2")


def mse_config(name: str, class_name: str | None, port: int) -> dict[str, Any]:
    return {
        "kind": "MseIngressConfig",
        "metadata": {
            "name": name,
            "annotations": {
                "mse.alibabacloud.com/remote-clusters": ",".join(CLUSTERS),
                "fleetgate.io/listeners": f'[{{"HTTP": {port}}}]',
            },
        },
        "spec": {"ingress": {"local": {"ingressClass": class_name} if class_name else {}}},
    }


def ingress_class(name: str, controller: str, config: str = "") -> dict[str, Any]:
    parameters = {"apiGroup": "mse.alibabacloud.com", "kind": "MseIngressConfig", "name": config}
    spec = {"controller": controller} | ({"parameters": parameters} if config else {})
    return {"kind": "IngressClass", "metadata": {"name": name}, "spec": spec}


GATEWAYS = [  # beside the AlbConfig of class alb
    mse_config("like-nginx", "nginx", 8002),
    mse_config("like-higress", None, 8003),
    ingress_class("mse", "mse.alibabacloud.com/ingress", "like-higress"),
    ingress_class("higress", "mse.alibabacloud.com/ingress", "like-higress"),
    ingress_class("traefik", "traefik.io/ingress-controller"),
]


def services(ingresses: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every Service that the manifests name, with a pod."""
    for ingress in ingresses:
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                named = path["backend"]["service"]
                key = f"{ingress['metadata']['namespace']}/{named['name']}"
                yield service(key, {"port": named["port"].get("number", 80), "protocol": "TCP"})
                yield endpoint_slice(key, pods(["10.0.0.1"], ready=True))


def live(path: Path) -> Translation:
    ingresses = list(yaml.safe_load_all(path.read_text()))
    objects = list(services(ingresses))
    members = {cluster: {"objects": objects} for cluster in CLUSTERS}
    return run_case({"gateway": {"port": 80}, "members": members, "fleet": [*GATEWAYS, *ingresses]})


def said(item: Diagnostic) -> str:
    value = f' "{item.value}"' if item.value else ""
    return f"{item.level} {item.code} {item.namespace}/{item.name} {item.field}{value}: {item.message}"


def shown(route: Route) -> str:
    match route.action:
        case Forward(backends=backends):
            does = ", ".join(f"{backend.service} {backend.weight}" for backend in backends)
        case Redirect(status=status):
            does = f"redirect {status}"
        case FixedResponse() as answer:
            does = "closed" if answer == ANSWER else f"answer {answer.status}"
    return f"{route.host}{route.path.value} ({route.path.kind}) by {route.source.name}: {does}"


def outcome(path: Path) -> dict[str, list[str]]:
    checked = check([str(path)], {})
    translation = live(path)
    table_of(translation.snapshot.routes)  # a worker can use it
    return {
        "validate": [
            f"line {each.place.line}: {each.level} {each.code} {each.text}" for each in checked.findings
        ],
        "live": [said(item) for item in translation.diagnostics if item.kind == "Ingress"],
        "routes": [shown(route) for route in translation.snapshot.routes],
    }


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_gets_exactly_these_findings(path: Path) -> None:
    found = outcome(path)
    expected = HERE / "expected" / path.name
    if os.environ.get("FLEETGATE_REGENERATE"):
        expected.write_text(yaml.safe_dump(found, sort_keys=False, width=110, allow_unicode=True))
    assert found == yaml.safe_load(expected.read_text())


def test_there_are_thirty_manifests_and_no_expectation_is_left_over() -> None:
    assert len(MANIFESTS) >= 30
    assert {path.name for path in (HERE / "expected").iterdir()} == {path.name for path in MANIFESTS}


PROTECTED = (
    "03-basic-auth", "04-oauth2-proxy", "07-office-only-on-alb", "08-client-certificates", "09-snippets",
    "10-modsecurity", "23-higress-plugins", "28-aws-cognito", "29-traefik", "30-typo",
)  # fmt: skip


@pytest.mark.parametrize("name", PROTECTED)
def test_an_ingress_whose_protection_cannot_be_honoured_is_an_error_and_never_served_open(name: str) -> None:
    path = HERE / "manifests" / f"{name}.yaml"
    checked = check([str(path)], {})
    assert [each for each in checked.findings if each.level == "error"]
    first = next(iter(yaml.safe_load_all(path.read_text())))["metadata"]["name"]
    for translation in (checked.translation, live(path)):
        actions = [route.action for route in translation.snapshot.routes if route.source.name == first]
        assert all(action == ANSWER for action in actions)


@pytest.mark.parametrize("name", ["05-office-only", "06-deny-list"])
def test_lists_that_the_dialect_has_are_honoured(name: str) -> None:
    path = HERE / "manifests" / f"{name}.yaml"
    for translation in (check([str(path)], {}).translation, live(path)):
        (route,) = translation.snapshot.routes
        assert route.policies is not None
        assert route.policies.access is not None
