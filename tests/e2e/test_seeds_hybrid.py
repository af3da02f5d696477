"""The document on ALB with several Services, and with servers outside the clusters: every scenario.

Its manifests are in `seeds/` without their comment. What is done differently: the hidden ends of the IDs are
00001, and the groups, which the document makes in a console, are objects of the kind ServerGroup.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.demo import until
from tests.support.seeds import Seeds, ask, outside_server

pytestmark = pytest.mark.xdist_group("seeds")

HOST = "host: demo.domain.ingress.top"
ACTION = "alb.ingress.kubernetes.io/actions.forward"
INSIDE = {"tea1": 15, "tea2": 15, "coffee1": 10, "coffee2": 10}
OUTSIDE = {"outside1": 30, "outside2": 20}


@dataclass(frozen=True)
class Scenario:
    """A scenario with server groups: the IDs of its two, and how their servers are named."""

    section: str
    manifest: str
    groups: tuple[str, str]
    address: str


CHENGDU = ("sgp-71aexb9y93ypo00001", "sgp-slygpbvm2cydo00001")
IDC = ("sgp-ihydxb9y93ypo00001", "sgp-pd0ipbvm2cydo00001")
SCENARIOS = (
    Scenario("2: pods and servers outside the cluster", "alb-server-groups", CHENGDU, "127.0.0.1"),
    Scenario("3: pods and servers in another region", "alb-server-groups", CHENGDU, "localhost"),
    Scenario("4: pods and servers on premises", "alb-server-groups-idc", IDC, "127.0.0.1"),
)


@pytest.fixture(scope="module")
def services(seeds: Seeds) -> Seeds:
    for name in ("tea", "coffee"):
        seeds.deploy(f"{name}-svc", (f"{name}1", f"{name}2"))
    return seeds


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """Of the two servers outside the clusters."""
    with outside_server("outside1") as first, outside_server("outside2") as second:
        yield first, second


def is_answered(seeds: Seeds, expected: dict[str, int]) -> bool:
    return ask(f"{seeds.alb}/path", 100, HOST) == expected


def test_scenario_1_several_services(services: Seeds) -> None:
    expected = {"tea1": 40, "tea2": 40, "coffee1": 10, "coffee2": 10}
    with services.applied("alb-two-services"):
        until(lambda: is_answered(services, expected), "both services answer")
        assert all(is_answered(services, expected) for _ in range(3))  # no luck


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.section)
def test_scenarios_with_server_groups(services: Seeds, ports: tuple[int, int], scenario: Scenario) -> None:
    with ExitStack() as stack:
        for number, (identity, port) in enumerate(zip(scenario.groups, ports, strict=True), start=1):
            stack.enter_context(services.server_group(number, identity, scenario.address, port))
        stack.enter_context(services.applied(scenario.manifest))
        until(lambda: is_answered(services, INSIDE | OUTSIDE), "pods and servers answer")
        assert all(is_answered(services, INSIDE | OUTSIDE) for _ in range(3))  # no luck


def test_usage_notes_the_id_of_a_group_comes_before_a_service(
    services: Seeds, ports: tuple[int, int]
) -> None:
    group = {"ServerGroupID": CHENGDU[0], "ServiceName": "tea-svc", "ServicePort": 80, "Weight": 100}
    outside = services.server_group(1, CHENGDU[0], "127.0.0.1", ports[0])
    with outside, services.applied("alb-two-services"):
        annotate(services, [group])
        until(lambda: is_answered(services, {"outside1": 100}), "the group alone answers")


def test_usage_notes_five_groups_at_most(services: Seeds) -> None:
    group = {"ServiceName": "tea-svc", "ServicePort": 80, "Weight": 10}
    with services.applied("alb-two-services"):
        expected = {"tea1": 40, "tea2": 40, "coffee1": 10, "coffee2": 10}
        until(lambda: is_answered(services, expected), "both services answer")
        annotate(services, [group] * 6)
        until(lambda: "does not have 1 to 5 server groups" in events(services), "it is told")
        assert is_answered(services, expected)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "nobody", "no rule of this Ingress has the backend service forward"),
        ("port", {"number": 80}, "the port name use-annotation"),
    ],
    ids=["the name is that of the backend", "the port is use-annotation"],
)
def test_usage_notes_what_leads_to_the_action(services: Seeds, field: str, value: object, told: str) -> None:
    """Otherwise the action is not what the rule does, and the Ingress says so."""
    path = f"/spec/rules/0/http/paths/0/backend/service/{field}"
    with services.applied("alb-two-services"):
        patch = json.dumps([{"op": "replace", "path": path, "value": value}])
        services.kubectl("patch", "ingress/tea-ingress", "--type=json", "-p", patch)
        until(lambda: told in events(services), "it is told")


def annotate(seeds: Seeds, groups: list[dict[str, object]]) -> None:
    action = [{"type": "ForwardGroup", "ForwardConfig": {"ServerGroups": groups}}]
    text = f"{ACTION}={json.dumps(action)}"
    seeds.kubectl("annotate", "--overwrite", "ingress/tea-ingress", text)


def events(seeds: Seeds) -> str:
    return seeds.kubectl("describe", "ingress/tea-ingress").partition("Events:")[2]
