"""The log of findings: a line each while they are few, fair and summed up when they are not."""

import asyncio
import logging

import pytest

from controlplane.gateway.findinglog import BOUNDS, FindingLog
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from tests.support.clock import FakeClock
from tests.support.waiting import until


def finding(namespace: str, name: str = "web", problem: str = "is no number") -> Diagnostic:
    findings = Findings(Subject("Ingress", namespace, name, f"uid-{name}", 1))
    findings.add("FG0201", "metadata.annotations.x", "y", problem=problem, allowed="a number")
    return findings.items[0]


async def logged(caplog: pytest.LogCaptureFixture, *findings: Diagnostic) -> list[logging.LogRecord]:
    caplog.set_level(logging.INFO)
    log = FindingLog(clock=FakeClock().clock)
    running = asyncio.create_task(log.run())
    log.note(findings, frozenset())
    await until(lambda: not log._turns and not log._woken.is_set())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return caplog.records


async def test_few_findings_are_a_line_each_and_known_ones_none(caplog: pytest.LogCaptureFixture) -> None:
    records = await logged(caplog, finding("a"), finding("b"))
    assert [record.getMessage() for record in records] == ["finding"] * 2
    assert records[0].about == str(finding("a"))  # type: ignore[attr-defined]
    log = FindingLog()
    log.note([finding("a")], frozenset((str(finding("a")),)))
    assert not log._turns


async def test_a_flood_of_one_namespace_is_bounded_and_others_come_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flood = [finding("noisy", f"web-{number % 200}", f"is {number}") for number in range(8000)]
    records = await logged(caplog, *flood, finding("quiet"))
    lines = [record for record in records if record.getMessage() == "finding"]
    assert len(lines) == BOUNDS.of_namespace + 1
    assert "quiet" in lines[1].about  # type: ignore[attr-defined]
    (summary,) = [record for record in records if record.getMessage() != "finding"]
    assert summary.count == 8000 - BOUNDS.of_namespace  # type: ignore[attr-defined]
    assert summary.most == f"noisy: {summary.count}"  # type: ignore[attr-defined]


async def test_one_object_has_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    records = await logged(caplog, *(finding("a", problem=f"is {number}") for number in range(50)))
    assert len(records) == BOUNDS.of_object + 1
