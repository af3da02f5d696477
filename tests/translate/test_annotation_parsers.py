"""Annotation parsers: tables of values, and no value at all ever raises."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.resources.decode import decode
from controlplane.resources.kinds import INGRESSES
from controlplane.translate.annotations import (
    actions,
    conditions,
    failback,
    failover,
    remote_clusters,
)
from controlplane.translate.annotations.draft import Draft, PlannedFailback, PlannedFailover
from controlplane.translate.annotations.families import apply_all
from controlplane.translate.annotations.lists import comma_list
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.registry import ROWS, check_keys, lookup
from controlplane.translate.annotations.row import ALB, OWN, Annotation, Scope, Support
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.ingresses import plan_ingress
from proxy.model.actions import Failback
from proxy.model.policies import Retry, RetryScope

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    re.findall(
        r"\w+",
        "type Header headerConfig key values HTTP ForwardGroup ForwardConfig ServerGroups ServiceName"
        " ServicePort Weight ServerGroupID ServerGroupStickySession Enabled gray",
    )
)
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
VALUES = st.text() | JSON.map(json.dumps)


def findings() -> Findings:
    return Findings(Subject("Ingress", "demo", "web"))


def reader(annotations: dict[str, str], found: Findings) -> Reader:
    return Reader(annotations, Dialect.ALB, found)


def drafted(annotations: dict[str, str], found: Findings) -> Draft:
    """Apply every family."""
    draft = Draft("demo")
    apply_all(reader(annotations, found), draft)
    return draft


PARSERS: list[tuple[str, Callable[[Reader], Any]]] = [
    (conditions.FAMILY + "s", conditions.parse),
    (actions.FAMILY + "s", lambda read: actions.parse(read, "demo")),
    (ALB + "remote-clusters", lambda read: remote_clusters.parse(read, frozenset({"c1"}))),
]


@pytest.mark.parametrize(("key", "parse"), PARSERS, ids=[key for key, _ in PARSERS])
@given(value=VALUES)
@example(value="[" * 100_000)
@example(value="\ud800")
@example(value='[{"HTTP": 1e400}]')
@example(value='[{"type": 123456789012345678901234567890}]')
@example(value='[{"type":"Header","headerConfig":{"key":123456789012345678901234567890}}]')
def test_no_value_raises(key: str, parse: Callable[[Reader], Any], value: str) -> None:
    found = findings()
    parse(reader({key: value}, found))
    for item in found.items:
        assert "\n" not in item.text
        assert item.text.isprintable()


KEYS = st.sampled_from([key.replace("*", "s") for row in ROWS for key in row.keys]) | st.text().map(
    lambda text: ALB + text
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.sampled_from(Dialect))
def test_no_annotations_raise(annotations: dict[str, str], dialect: Dialect) -> None:
    spec = {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
    ingress = decode(INGRESSES, json.dumps({"metadata": {"name": "i"}, "spec": spec}).encode())
    assert isinstance(ingress, INGRESSES.type)
    ingress.metadata.annotations.update(annotations)
    found = findings()
    plan = plan_ingress(ingress, dialect, found)
    assert bool(plan.routes) or found.failed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"HTTP": 8001}]', (("HTTP", 8001),)),
        (
            '[{"HTTP":80},{"HTTPS":443},{"QUIC":443},{"HTTP":80}]',
            (("HTTP", 80), ("HTTPS", 443), ("QUIC", 443)),
        ),
        ("[]", None),
        ("", None),
        ("{}", None),
        ("8001", None),
        ('[{"http":80}]', None),
        ('[{"HTTP":0}]', None),
        ('[{"HTTP":65536}]', None),
        ('[{"HTTP":"80"}]', None),
        ('[{"HTTP":80.5}]', None),
        ('[{"HTTP":true}]', None),
        ("[{}]", None),
        ('["HTTP"]', None),
    ],
)
def test_listen_ports(text: str, expected: object) -> None:
    found = findings()
    assert drafted({ALB + "listen-ports": text}, found).ports == expected
    assert found.failed == (expected is None)


@pytest.mark.parametrize("scope", RetryScope)
def test_retry_scope_is_read_in_alb_too(scope: RetryScope) -> None:
    found = findings()
    retry = drafted({OWN + "retry-scope": scope}, found).retry
    assert retry == (Retry(scope=scope) if scope is not RetryScope.ANY else None)
    assert found.items == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", None),
        ("auto(0s, 0s)", None),
        ("manual", PlannedFailback(manual=True)),
        ("auto(30s, 60s)", PlannedFailback(delay_s=30.0, ramp_s=60.0)),
        (" auto ( 500ms,1.5m ) ", PlannedFailback(delay_s=0.5, ramp_s=90.0)),
        ("auto(24h,0s)", PlannedFailback(delay_s=86400.0)),
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_failback(text: str, expected: PlannedFailback | None, dialect: Dialect) -> None:
    found = findings()
    draft = Draft("ns")
    failback.apply(Reader({OWN + "failback": text}, dialect, found), draft)
    assert draft.failback == expected
    assert found.items == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no way to fail back"),
        ("Manual", "is no way to fail back"),
        ("manual(30s, 60s)", "is no way to fail back"),
        ("auto(30s, 60s", "is no way to fail back"),
        ("auto()", "has not exactly a delay and a ramp"),
        ("auto(30s)", "has not exactly a delay and a ramp"),
        ("auto(1s,2s,3s)", "has not exactly a delay and a ramp"),
        ("auto(30, 60s)", 'has "30", which is no time it can have'),
        ("auto(1s, -1s)", 'has "-1s", which is no time it can have'),
        ("auto(1s, 1e3s)", 'has "1e3s", which is no time it can have'),
        ("auto(25h, 1s)", 'has "25h", which is no time it can have'),
        ("auto(86401s, 1s)", 'has "86401s", which is no time it can have'),
    ],
)
def test_failback_that_cannot_be(text: str, problem: str) -> None:
    found = findings()
    draft = drafted({OWN + "failback": text}, found)
    assert draft.failback is None
    (finding,) = found.items
    assert (finding.code, finding.message) == ("FG0201", problem)
    assert finding.field == "metadata.annotations[fleetgate.io/failback]"
    assert "auto(DELAY, RAMP) with times from 0s to 24h" in finding.allowed


@given(st.integers(0, 86_400_000), st.integers(0, 86_400_000))
def test_failback_is_said_as_it_is_read(delay_ms: int, ramp_ms: int) -> None:
    meant = Failback("ns/x", delay_s=delay_ms / 1000, ramp_s=ramp_ms / 1000)
    draft = drafted({OWN + "failback": failback.written(meant)}, findings())
    read = draft.failback or PlannedFailback()
    assert read.delay_s == pytest.approx(meant.delay_s, rel=1e-5)
    assert read.ramp_s == pytest.approx(meant.ramp_s, rel=1e-5)


@pytest.mark.parametrize(
    ("mode", "clusters", "expected", "problems"),
    [
        (None, None, PlannedFailover(None), 0),
        ("auto", None, PlannedFailover(None), 0),
        (" none ", None, PlannedFailover(()), 0),
        (None, "c2, c3", PlannedFailover(("c2", "c3")), 0),
        ("auto", "c2", PlannedFailover(("c2",)), 0),
        ("none", "c2", PlannedFailover(()), 1),
        ("None", None, PlannedFailover(None), 1),
        (None, "", PlannedFailover(()), 1),
    ],
)
def test_failover(mode: str | None, clusters: str | None, expected: PlannedFailover, problems: int) -> None:
    annotations = {failover.MODE_KEY: mode, failover.CLUSTERS_KEY: clusters}
    found = findings()
    written = {key: value for key, value in annotations.items() if value is not None}
    assert failover.parse(reader(written, found)) == expected
    assert len(found.items) == problems


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        ("1", 1),
        (" 10 ", 10),
        (True, None),
        ("", None),
        ("-1", None),
        (0, None),
        (11, None),
        (1.0, None),
        ("1.0", None),
        ("١", None),
        ("9" * 400, None),
        (None, None),
    ],
)
def test_integers_are_ints_or_digits_in_range(value: object, expected: int | None) -> None:
    assert integer(value, 1, 10) == expected


@pytest.mark.parametrize(
    ("text", "items"), [("", ()), (" , ,", ()), ("a", ("a",)), (" a , b,,a ", ("a", "b")), ("a b", ("a b",))]
)
def test_comma_lists(text: str, items: tuple[str, ...]) -> None:
    assert comma_list(text) == items


def test_every_key_has_one_row_in_each_dialect() -> None:
    keys = [(key, dialect) for row in ROWS for key in row.keys for dialect in _dialects(row)]
    assert len(keys) == len(set(keys))
    for row in ROWS:
        for key in row.keys:
            assert row in lookup(key.replace("*", "web"))


def _dialects(row: Annotation) -> Iterable[Dialect]:
    return Dialect if row.dialect is None else (row.dialect,)


def test_annotations_not_done_as_written_say_why() -> None:
    for row in ROWS:
        assert bool(row.note) == (row.support is not Support.WORKS), row


def test_a_family_needs_a_name_after_its_dot() -> None:
    assert lookup(ALB + "conditions.") == []


def test_near_keys_are_looked_for_only_so_often_per_object() -> None:
    found = findings()
    check_keys({f"{ALB}orde{number}": "" for number in range(30)}, Scope.INGRESS, Dialect.ALB, found)
    hinted = [item for item in found.items if "did you mean order" in item.message]
    assert (len(found.items), len(hinted)) == (30, 10)


def test_foreign_annotations_are_nobodys_business() -> None:
    found = findings()
    annotations = {"example.com/order": "x", "plain": "y", OWN + "failover": "auto"}
    check_keys(annotations, Scope.INGRESS, Dialect.ALB, found)
    assert found.items == []


def test_the_other_dialect_is_not_read() -> None:
    found = findings()
    check_keys({ALB + "order": "1"}, Scope.INGRESS, Dialect.MSE, found)
    assert [item.code for item in found.items] == ["FG0207"]
    assert drafted({"mse.ingress.kubernetes.io/order": "1"}, found).order == 10
