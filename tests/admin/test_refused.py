"""Ingresses that are refused are named: to whoever asks about a request, and to whoever plans an upgrade."""

from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from controlplane.admin.explain import explanation
from controlplane.admin.question import Question
from controlplane.admin.state import State
from controlplane.cli.diff import refused_by_upgrade
from controlplane.cli.explanation import lines
from controlplane.files.manifests import read_manifests
from controlplane.files.reading import Text
from controlplane.files.translation import judge
from controlplane.proposal.difference import shown
from controlplane.resources.view import FleetObjects
from controlplane.translate.closed import ANSWER
from controlplane.translate.model import Translation
from tests.support.translation import fleet_of, run_case

NGINX = "nginx.ingress.kubernetes.io/"


def ingress(
    name: str, path: str = "/", host: str = "shop.example.com", path_type: str = "Prefix", **annotations: str
) -> dict[str, Any]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    keys = {key.replace("__", "/").replace("_", "-"): value for key, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "namespace": "a",
            "name": name,
            "annotations": {f"alb.ingress.kubernetes.io/{key}": value for key, value in keys.items()},
        },
        "spec": {
            "ingressClassName": "alb",
            "rules": [
                {"host": host, "http": {"paths": [{"path": path, "pathType": path_type, "backend": backend}]}}
            ],
        },
    }


def translated(*ingresses: dict[str, Any]) -> Translation:
    members = {"cluster-1": {"pods": {"a/s": 1}}, "cluster-2": {}}
    return run_case({"gateway": {"port": 80}, "members": members, "fleet": list(ingresses)})


def explained(url: str, *ingresses: dict[str, Any]) -> dict[str, Any]:
    translation = translated(*ingresses)
    state = State(0.0, 0.0, 0, snapshot=translation.snapshot, diagnostics=translation.diagnostics)
    views = fleet_of(ingresses).ingresses
    return explanation(state, translation.snapshot, Question(url), views)


def named(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(each["source"]["name"], [f["code"] for f in each["findings"]]) for each in found["refused"]]


def test_a_request_that_no_route_takes_names_the_refused_ingress_and_its_finding() -> None:
    found = explained("http://shop.example.com/cart", ingress("bad", order="many"))
    assert (found["chosen"], named(found)) == (None, [("bad", ["FG0201"])])
    (line,) = [line for line in lines(found) if line.startswith("refused")]
    assert line.startswith(
        "refused    Ingress a/bad  error FG0201 metadata.annotations[alb.ingress.kubernetes.io/order]: is not"
    )
    assert line.endswith("; fix: correct the value")


def test_a_request_that_a_less_specific_rule_takes_names_it_too() -> None:
    found = explained("http://shop.example.com/cart", ingress("good"), ingress("bad", "/cart", order="many"))
    assert found["chosen"] == "a/good/shop.example.com/"
    assert named(found) == [("bad", ["FG0201"])]


@pytest.mark.parametrize(
    ("url", "is_named"),
    [
        ("http://shop.example.com/cart/7", True),
        ("http://shop.example.com/cartoon", False),
        ("http://other.example.com/cart", False),
    ],
)
def test_only_ingresses_that_may_have_been_meant_are_named(url: str, is_named: bool) -> None:
    assert bool(explained(url, ingress("bad", "/cart", order="many"))["refused"]) is is_named


def test_a_path_that_cannot_be_read_may_mean_every_request() -> None:
    found = explained("http://shop.example.com/x", ingress("bad", "cart*", path_type="Exact"))
    assert named(found) == []  # an exact path means itself only
    found = explained("http://shop.example.com/x", ingress("bad", "cart*"))
    assert named(found) == [("bad", ["FG0302"])]


def test_an_ingress_of_no_class_that_exists_is_named() -> None:
    lost = ingress("lost")
    lost["spec"]["ingressClassName"] = "abl"
    assert named(explained("http://shop.example.com/", lost)) == [("lost", ["FG0101"])]


def test_a_closed_ingress_answers_itself_with_its_finding() -> None:
    closed = ingress("closed")
    closed["metadata"]["annotations"] = {NGINX + "auth-type": "basic"}
    found = explained("http://shop.example.com/", closed)
    assert found["answer"]["action"]["status"] == ANSWER.status
    assert [finding["code"] for finding in found["answer"]["ignored"]] == ["FG0210"]
    assert found["refused"] == []


def test_diff_names_the_ingresses_of_the_fleet_that_are_refused() -> None:
    closed = ingress("closed")
    closed["metadata"]["annotations"] = {NGINX + "auth-type": "basic"}
    translation = translated(ingress("good"), closed)
    running = replace(translation.snapshot, routes=())
    document = shown(running, translation, {}, FleetObjects())
    assert [(item["name"], item["code"]) for item in document["refused"]] == [("closed", "FG0210")]
    document = shown(running, translation, {}, fleet_of([closed]))
    assert document["refused"] == []  # it is among the findings about what was given


def test_diff_names_what_only_the_version_of_the_command_refuses() -> None:
    web = ingress("web")
    web["metadata"] = {"name": "web", "annotations": {NGINX + "auth-type": "basic"}}
    undecided = ingress("undecided")
    undecided["metadata"] = {"name": "undecided"}
    undecided["spec"]["ingressClassName"] = "web"
    text = yaml.safe_dump_all([web, undecided])
    own = judge(read_manifests([Text("a.yaml", text.encode())]), {}, "demo").findings
    (refused,) = refused_by_upgrade(own, [])
    assert (refused["object"], refused["code"]) == ("Ingress demo/web", "FG0210")
    assert refused_by_upgrade(own, own) == []  # an equal gateway has told it
