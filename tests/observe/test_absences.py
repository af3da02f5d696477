"""Every reason for another share than configured, and that the documentation names it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from controlplane.observe.absences import REASONS, absences, by_cluster, of_route, of_service
from controlplane.observe.breakers import Breakers
from controlplane.observe.endpoints import Merged
from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.snapshot import ClusterEndpoints, Service
from proxy.model.statistics import BreakerStats, EndpointStats
from tests.support.dataplane import snapshot

WEB = "shop/web:80"


def endpoints(*states: str, weight: int = 1) -> list[Merged]:
    """Those of a cluster `a`, as one worker sees them."""
    return [
        Merged(
            (WEB, "a", "10.0.0.1", port),
            draining=False,
            weight=weight,
            by_worker={0: EndpointStats(WEB, "a", "10.0.0.1", port, state, 0, 0, 0, 0, "")},
        )
        for port, state in enumerate(states)
    ]


def breaker(phase: str) -> Breakers:
    return {(WEB, "a"): BreakerStats(WEB, "a", phase, 0.5, 0)} if phase else {}


@pytest.mark.parametrize(
    ("seen", "phase", "expected"),
    [
        (endpoints("healthy", "healthy"), "", ""),
        (endpoints(), "", "no_endpoints"),
        (endpoints(), "open", "no_endpoints"),
        (endpoints("unhealthy", "unhealthy"), "open", "checks_failing"),
        (endpoints("ejected", "healthy"), "open", "breaker_open"),
        (endpoints("ejected", "unhealthy"), "", "endpoints_failing"),
        (endpoints("stalled"), "", "endpoints_failing"),
        (endpoints("healthy"), "ramping", "ramping"),
        (endpoints("healthy", "ejected"), "ramping", "ramping"),
        (endpoints("ejected"), "ramping", "endpoints_failing"),
        (endpoints("draining", "ejected"), "", "draining"),
        (endpoints("healthy", weight=0), "", "draining"),
        (endpoints("healthy", "ejected"), "", "fewer_endpoints"),
    ],
)
def test_the_reason_that_keeps_a_cluster_from_its_share_is_found(
    seen: list[Merged], phase: str, expected: str
) -> None:
    services = (Service(WEB, (ClusterEndpoints("a", ()),)),)
    found = absences(replace(snapshot(7, 8001), services=services), seen, breaker(phase))
    assert found == {(WEB, "a"): expected}
    assert by_cluster(found) == ({"a": {WEB: expected}} if expected else {})


def test_without_a_snapshot_there_is_nothing() -> None:
    assert absences(None, [], {}) == {}


WEIGHTED = Split(SplitMode.WEIGHTS, (Share("a", 20), Share("b", 80), Share("c")))
ONLY_B = Split(SplitMode.ENDPOINTS, (Share("b"),))
ONE = Forward((Backend("x"),), WEIGHTED)
TWO = Forward((Backend("x", 90), Backend("y", 10, ONLY_B)), WEIGHTED)
STANDBY_A = Split(SplitMode.WEIGHTS, (Share("a"), Share("b", 100)))
BOTH = Forward((Backend("x", 90), Backend("y", 10, STANDBY_A)), WEIGHTED)
PLAN = {"a": 0.2, "b": 0.8, "c": 0.0}
WELL = {(service, cluster): "" for service in "xy" for cluster in "abc"}


@pytest.mark.parametrize(
    ("forward", "effective", "found", "expected"),
    [
        (ONE, PLAN, WELL, {}),
        (ONE, PLAN, WELL | {("x", "b"): "fewer_endpoints"}, {}),
        (ONE, {"a": 0.1 + 0.1, "b": 0.7 + 0.1, "c": 0.0}, WELL, {}),
        (
            ONE,
            {"a": 1.0, "b": 0.0, "c": 0.0},
            WELL | {("x", "b"): "breaker_open"},
            {"a": "takes_over", "b": "breaker_open"},
        ),
        (ONE, {"a": 1.0}, {("x", "a"): ""}, {"a": "takes_over", "b": "no_endpoints"}),
        (ONE, {"c": 1.0}, WELL, {"a": "backend_failing", "b": "backend_failing", "c": "takes_over"}),
        (ONE, {"d": 1.0}, WELL, {"a": "backend_failing", "b": "backend_failing", "d": "takes_over"}),
        (
            TWO,
            {"a": 1.0},
            WELL | {("x", "b"): "fewer_endpoints", ("y", "b"): "checks_failing"},
            {"a": "takes_over", "b": "checks_failing"},
        ),
        (
            TWO,
            {"b": 1.0},
            WELL | {("x", "a"): "ramping", ("y", "a"): "no_endpoints"},
            {"a": "ramping", "b": "takes_over"},
        ),
        (
            BOTH,
            {"b": 1.0},
            WELL | {("x", "a"): "ramping", ("y", "a"): "no_endpoints"},
            {"a": "ramping", "b": "takes_over"},
        ),
    ],
)
def test_why_the_parts_of_a_route_differ(
    forward: Forward,
    effective: dict[str, float],
    found: Mapping[tuple[str, str], str],
    expected: dict[str, str],
) -> None:
    assert of_route(forward, PLAN, effective, found) == expected


@pytest.mark.parametrize(
    ("effective", "found", "expected"),
    [
        (PLAN, WELL, {}),
        (
            {"a": 1.0, "b": 0.0},
            WELL | {("x", "b"): "breaker_open", ("y", "b"): "no_endpoints"},
            {"a": "takes_over", "b": "breaker_open"},
        ),
        ({"c": 1.0}, {}, {"a": "no_endpoints", "b": "no_endpoints", "c": "takes_over"}),
        ({}, WELL, {"a": "backend_failing", "b": "backend_failing"}),
    ],
)
def test_why_the_parts_of_a_service_differ(
    effective: dict[str, float], found: Mapping[tuple[str, str], str], expected: dict[str, str]
) -> None:
    assert of_service("x", PLAN, effective, found) == expected


def test_every_reason_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "admin-api.md").read_text()
    table = text.partition("| reason | |")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", table, re.MULTILINE)) == REASONS
