"""The healthcheck annotations: what each value asks for, in which dialect, and what is refused."""

from typing import Any

import pytest

from controlplane.translate.annotations import health
from controlplane.translate.annotations.draft import Draft, PlannedCheck
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, OWN
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from proxy.model.snapshot import HealthCheck

SPELLINGS = [(ALB, Dialect.ALB), (OWN, Dialect.ALB), (OWN, Dialect.MSE)]
ENABLED = "healthcheck-enabled"


def planned(
    annotations: dict[str, str], dialect: Dialect = Dialect.ALB
) -> tuple[PlannedCheck | None, list[tuple[str, str]]]:
    """Return the check, and code and key of each finding."""
    findings, draft = Findings(Subject("Ingress", "demo", "web")), Draft("demo")
    health.apply(Reader(annotations, dialect, findings), draft)
    told = [
        (item.code, item.field.removeprefix("metadata.annotations[").rstrip("]")) for item in findings.items
    ]
    return draft.health, told


@pytest.mark.parametrize(("prefix", "dialect"), SPELLINGS)
@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, {}),
        ({"healthcheck-protocol": "tcp"}, {"protocol": "TCP"}),
        ({"healthcheck-protocol": "HTTPS"}, {"protocol": "HTTPS"}),
        ({"healthcheck-method": "GET"}, {"method": "GET"}),
        ({"healthcheck-path": "/a?b=c"}, {"path": "/a?b=c"}),
        ({"healthcheck-connect-port": "8081"}, {"port": 8081}),
        ({"healthcheck-connect-port": "0"}, {"port": 0}),
        ({"healthcheck-code": "http_2xx, http_4xx"}, {"statuses": (2, 4)}),
        ({"healthcheck-timeout-seconds": "300"}, {"timeout_s": 300}),
        ({"healthcheck-interval-seconds": "50"}, {"interval_s": 50}),
        ({"healthy-threshold-count": "10"}, {"healthy": 10}),
        ({"unhealthy-threshold-count": "2"}, {"unhealthy": 2}),
        ({"healthcheck-httpversion": "HTTP1.0"}, {"version": "1.0"}),
    ],
)
def test_each_value_sets_its_part_of_the_check(
    prefix: str, dialect: Dialect, annotations: dict[str, str], expected: dict[str, Any]
) -> None:
    given = {prefix + key: value for key, value in {ENABLED: "true", **annotations}.items()}
    assert planned(given, dialect) == (PlannedCheck(HealthCheck(**expected), at(prefix)), [])


def at(prefix: str) -> str:
    return f"metadata.annotations[{prefix}{ENABLED}]"


@pytest.mark.parametrize(("prefix", "dialect"), SPELLINGS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("healthcheck-enabled", "perhaps"),
        ("healthcheck-protocol", "UDP"),
        ("healthcheck-method", "PUT"),
        ("healthcheck-path", "healthz"),
        ("healthcheck-path", "/" + "x" * 80),
        ("healthcheck-path", "/a b"),
        ("healthcheck-path", "/a#b"),
        ("healthcheck-path", "/a\nhost: b"),
        ("healthcheck-path", "/ä"),
        ("healthcheck-connect-port", "65536"),
        ("healthcheck-connect-port", "10250"),
        ("healthcheck-code", "200"),
        ("healthcheck-timeout-seconds", "0"),
        ("healthcheck-timeout-seconds", "301"),
        ("healthcheck-interval-seconds", "51"),
        ("healthy-threshold-count", "1"),
        ("unhealthy-threshold-count", "11"),
        ("healthcheck-httpversion", "HTTP2.0"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_also_while_checks_are_off(
    prefix: str, dialect: Dialect, name: str, value: str
) -> None:
    assert planned({prefix + name: value}, dialect) == (None, [("FG0201", prefix + name)])


def test_the_host_is_ours_alone() -> None:
    check, told = planned({OWN + ENABLED: "true", OWN + "healthcheck-host": "shop.example:8080"})
    assert (check, told) == (PlannedCheck(HealthCheck(host="shop.example:8080"), at(OWN)), [])
    for bad in ("a b", "a\nb", "-", "x" * 300, ""):
        assert planned({OWN + "healthcheck-host": bad})[1] == [("FG0201", OWN + "healthcheck-host")]


def test_our_spelling_comes_before_that_of_alb_one_by_one() -> None:
    both = {ALB + ENABLED: "true", ALB + "healthcheck-path": "/alb", OWN + "healthcheck-path": "/own"}
    assert planned(both) == (PlannedCheck(HealthCheck(path="/own"), at(ALB)), [])
    assert planned(both | {OWN + ENABLED: "false"}) == (None, [])


def test_of_the_two_keys_for_codes_the_newer_one_is_read() -> None:
    old = {ALB + ENABLED: "true", ALB + "healthcheck-httpcode": "http_3xx"}
    assert planned(old) == (PlannedCheck(HealthCheck(statuses=(3,)), at(ALB)), [])
    for prefix in (ALB, OWN):
        both = old | {prefix + "healthcheck-code": "http_5xx"}
        assert planned(both) == (PlannedCheck(HealthCheck(statuses=(5,)), at(ALB)), [])


@pytest.mark.parametrize("protocol", ["GRPC", "grpc"])
def test_a_protocol_in_which_nothing_is_asked_is_told_and_the_rules_hold(protocol: str) -> None:
    asked = {ALB + "healthcheck-protocol": protocol, ALB + "healthcheck-code": "http_2xx"}
    assert planned(asked) == (None, [])
    assert planned(asked | {ALB + ENABLED: "true"}) == (None, [("FG0209", ALB + "healthcheck-protocol")])


def test_mse_reads_no_key_of_alb() -> None:
    assert planned({ALB + ENABLED: "true", ALB + "healthcheck-path": "x"}, Dialect.MSE) == (None, [])
