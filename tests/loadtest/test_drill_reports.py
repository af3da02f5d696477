"""What the drills say: targets, tables, files, chart."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from loadtest.drills import __main__ as program
from loadtest.drills import chart, report
from loadtest.drills.drills import DRILLS, Drill, select
from loadtest.drills.measure import Result, measure
from loadtest.drills.peers import Peer
from loadtest.drills.record import Period
from loadtest.drills.run import Cell, Plan
from loadtest.drills.targets import missed
from loadtest.drills.wire import SYN, Sent
from loadtest.kit.processes import StartError
from tests.support.drilled import HIT_PORT, cell, circumstances, record


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"failed_gets": 1}, ["failed GETs: 1, target 0"]),
        ({"duplicate_posts": 2}, ["duplicate POSTs: 2, target 0"]),
        ({"failed_unsent": 3}, ["failed although nothing was sent: 3, target 0"]),
        ({"added_unwritten_p99_ms": 3.5}, ["added p99, ms: 3.5, target 3"]),
        ({"quiet_after_evidence_ms": None}, ["zero traffic after evidence, ms: never, target 50"]),
        ({"survivor_most": 1.25}, ["survivor's load: 1.25, target 1.2"]),
        ({"sent_part": 1.5}, ["sent, of those due: 1.5, target 1.2"]),
    ],
)
def test_missed_targets_are_named(changes: dict[str, object], expected: list[str]) -> None:
    result = measure(record(wire=[Sent(4.0, HIT_PORT, SYN, "")], received=record().received), 0.0)
    result = replace(result, failed_unsent=0, added_unwritten_p99_ms=1.0, added_written_p99_ms=None)
    changed: Result = replace(result, **changes)  # type: ignore[arg-type]
    assert list(missed(select(["refused"])[0], changed)) == expected


def test_the_chart_has_a_panel_for_each_cell() -> None:
    cells = [cell(drill=drill.name) for drill in DRILLS]
    text = chart.svg(cells, "today")
    assert len(re.findall("<polyline", text)) == 2 * len(DRILLS)
    ET.fromstring(text)


def test_the_chart_shades_each_fault_and_what_was_before_a_return() -> None:
    def widths(**changes: object) -> list[float]:
        result = measure(record(**changes), None)
        text = chart.svg([replace(cell(), result=result)], "today")
        second = chart.PANEL_W / (result.timeline[-1].at - result.timeline[0].at)
        return [round(float(x) / second, 1) for x in re.findall(f'width="([0-9.]+)"[^>]*{chart.FAULT}', text)]

    assert widths() == [3.0]
    assert widths(faults=(Period(4.0, 5.0), Period(6.0, 6.5))) == [1.0, 0.5]
    assert widths(faults=(), healed=4.0) == [4.0]


def test_the_table_says_no_figure_where_there_is_nothing_to_tell() -> None:
    slow, refused = cell(drill="slow"), cell(drill="refused", back_ms=None)
    text = report.markdown([slow, refused], circumstances())
    assert "| slow | fleetgate | 0 / 0 | – | 0 | 0 | 0.0 | 0.0 | – | – |" in text
    assert "| refused | fleetgate | 0 / 0 | – | 0 | 0 | 0.0 | 0.0 | never | 0 |" in text
    assert "| not yet |" in text
    assert "- fleetgate, refused: zero traffic after evidence, ms: never, target 50" in text
    assert "2 runs" in text
    assert "- a remark" in text


def test_the_periods_of_flapping_have_a_table_of_their_own() -> None:
    faults = (Period(4.0, 5.0), Period(6.0, 7.0))
    result = measure(record(wire=[], faults=faults), 0.0)
    flapping = Cell("flapping", "fleetgate", 1, "", result, (), 0.0, 0.0)
    assert report.outages([cell(), flapping]).count("| flapping | fleetgate |") == 2
    assert report.outages([cell()]) == ""


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON, none of whose names occurs twice."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_every_run_is_a_line_of_the_json(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    ours, other = cell(1, added_p99_ms=4.00049), replace(cell(2), peer="nginx")
    report.write_json(path, [ours, other], circumstances())
    document = json.loads(path.read_text(), object_pairs_hook=unique)
    first, second = document["runs"]
    assert (document["plan"]["rate"], document["versions"]) == (1000, {"fleetgate": "1"})
    assert (first["drill"], first["run"], first["added_p99_ms"]) == ("refused", 1, 4.0)
    assert "zero traffic after evidence, ms: never, target 50" in first["missed"]
    assert "missed" not in second
    assert "timeline" not in first
    assert sum('"drill"' in line for line in path.read_text().splitlines()) == 2
    report.write_json(path, [], circumstances())
    assert json.loads(path.read_text())["runs"] == []


def test_a_run_that_comes_to_nothing_is_said_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

    def fake(_plan: Plan, drill: Drill, peer: Peer, number: int, _directory: Path) -> Cell:
        if (drill.name, peer.name, number) == ("slow", "nginx", 1):
            raise StartError("no port")
        return replace(cell(number, drill.name), peer=peer.name)

    monkeypatch.setattr(program, "run", fake)
    peers = [cast(Peer, Named(name)) for name in ("fleetgate", "nginx")]
    outcome = program.Outcome(circumstances(), [])
    for found in program.cells(circumstances().plan, 2, select(["refused", "slow"]), peers, tmp_path):
        outcome.add(found)
    assert [(each.run, each.drill, each.peer) for each in outcome.cells] == [
        (1, "refused", "fleetgate"),
        (1, "refused", "nginx"),
        (1, "slow", "fleetgate"),
        (2, "refused", "fleetgate"),
        (2, "refused", "nginx"),
        (2, "slow", "fleetgate"),
        (2, "slow", "nginx"),
    ]
    assert outcome.has_gaps
    said = "run 1 of slow before nginx came to nothing: no port"
    assert said in outcome.about.remarks
    assert said in capsys.readouterr().out
