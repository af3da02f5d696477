"""The drills: that they count what they say, and, as small as they can be, that they drill."""

import asyncio
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.compare.peers import Missing
from loadtest.drills import chart, report, site
from loadtest.drills.combine import by_cell
from loadtest.drills.drills import DRILLS, select
from loadtest.drills.load import MIXED_UP, Load, Request
from loadtest.drills.measure import Result, duplicates, measure
from loadtest.drills.network import Network
from loadtest.drills.peers import envoy, haproxy, nginx
from loadtest.drills.record import Period, Received, Record
from loadtest.drills.run import Cell, Plan, faults
from loadtest.drills.targets import missed
from loadtest.drills.traffic import back_at, quiet_at
from loadtest.drills.wire import SYN, Sent, Stream, parse

PROJECT = Path(__file__).parents[2]
HIT_PORT, OTHER_PORT = 2000, 1000


def asked(number: int, due: float, took_s: float = 0.005, status: int = 200, post: bool = False) -> Request:
    arrival = f"1-{number}" if status == 200 else ""
    return Request(str(number), post, due, due + took_s, status, arrival)


def record(**changes: object) -> Record:
    """Ten seconds of ten requests each, every second one to either cluster; hit at 4, healed at 7."""
    requests = [asked(number, number / 10, post=number % 4 == 3) for number in range(100)]
    wire = [
        Sent(each.due, (OTHER_PORT, HIT_PORT)[number % 2], "POST" if each.is_post else "GET", each.identity)
        for number, each in enumerate(requests)
    ]
    received = [
        Received(
            *(each.time, site.HIT if each.port == HIT_PORT else site.SURVIVOR, each.kind, each.identity),
            f"1-{each.identity}",
        )
        for each in wire
    ]
    fault = (Period(4.0, 7.0),)
    whole = Record(10, 0.0, 4.0, 7.0, 10.0, fault, requests, received, wire, (HIT_PORT,))
    return replace(whole, **changes)  # type: ignore[arg-type]


def cell(run: int = 1, drill: str = "refused", **changes: object) -> Cell:
    result = measure(record(), select([drill])[0].evidence_s)
    return Cell(drill, "fleetgate", run, "", replace(result, **changes), (), 0.0, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], 0.0),
        ([0.01, 0.02], 0.0),  # within the probes of a window: five
        ([n / 100 for n in range(30)], 0.24),
        ([n / 100 for n in range(30)] + [1.5], 0.24),
        ([n / 100 for n in range(300)], None),
    ],
)
def test_a_cluster_is_quiet_when_it_gets_probes_only(times: list[float], expected: float | None) -> None:
    assert quiet_at([(time, "GET") for time in times], 0.0, 3.0, 1000) == expected


def test_arrivals_beyond_the_first_are_duplicates_of_posts_only() -> None:
    kinds = [("POST", "a"), ("POST", "a"), ("POST", "a"), ("POST", "b"), ("GET", "c"), ("GET", "c")]
    assert duplicates(Received(0.0, "cluster-1", kind, identity, "") for kind, identity in kinds) == 2


def test_a_run_without_effect_has_nothing_to_report() -> None:
    result = measure(record(), 0.0)
    assert (result.requests, result.failed_gets, result.failed_posts, result.failed_unsent) == (100, 0, 0, 0)
    assert (result.lost, result.duplicate_posts, result.mixed_up, result.given_up) == (0, 0, 0, 0)
    assert result.base_p50_ms == pytest.approx(5)
    assert result.added_p99_ms == pytest.approx(0)
    assert result.quiet_ms is None
    assert result.survivor == pytest.approx(0.5)


def test_failures_are_told_apart_by_what_was_sent() -> None:
    whole = record()
    requests = list(whole.requests)
    requests[43] = asked(43, 4.3, status=502, post=True)  # sent
    requests[45] = asked(45, 4.5, status=0)  # not sent
    requests[47] = asked(47, 4.7, status=503, post=True)  # not sent
    wire = [each for each in whole.wire or () if each.identity not in ("45", "47")]
    result = measure(replace(whole, requests=requests, wire=wire), 0.0)
    assert (result.failed_gets, result.failed_posts, result.failed_unsent) == (1, 2, 2)
    assert result.failures == {"502": 1, "cut": 1, "503": 1}
    assert measure(replace(whole, requests=requests, wire=None), 0.0).failed_unsent is None


def test_latency_is_counted_from_when_a_request_was_due_and_by_where_it_went() -> None:
    whole = record()
    requests = list(whole.requests)
    requests[41] = asked(41, 4.1, took_s=0.105)  # to the cluster that is hit
    requests[42] = asked(42, 4.2, took_s=0.025)
    result = measure(replace(whole, requests=requests), 0.0)
    assert result.added_worst_ms == pytest.approx(100)
    assert result.added_written_p99_ms == pytest.approx(100)
    assert result.added_unwritten_p99_ms == pytest.approx(20)
    assert result.slowest_get_ms == pytest.approx(105)


def test_traffic_to_the_dead_cluster_ends_some_time_after_the_evidence() -> None:
    """Attempts every 10 ms from the hit on, for a fifth of a second."""
    wire = [Sent(4.0 + n / 100, HIT_PORT, SYN, "") for n in range(1, 21)]
    result = measure(record(wire=wire), 0.1)
    assert result.quiet_ms == pytest.approx(200)
    assert result.quiet_after_evidence_ms == pytest.approx(90)


def test_an_answer_without_a_request_at_an_endpoint_is_noticed() -> None:
    assert measure(record(received=[]), 0.0).lost == 100


def test_an_answer_to_an_arrival_of_another_request_is_noticed() -> None:
    whole = record()
    requests = list(whole.requests)
    requests[50] = replace(requests[50], arrival="1-51")
    assert measure(replace(whole, requests=requests), 0.0).lost == 1


def test_what_was_not_sent_is_not_known_when_the_wire_was_not_seen_whole() -> None:
    """An answered request that is missing there says that others may be, too."""
    whole = record()
    assert measure(replace(whole, wire=list(whole.wire or ())[1:]), 0.0).failed_unsent is None


def test_several_outages_are_told_apart() -> None:
    """Away from 4 to 5 and from 6 to 7; in between it gets its share, and after the end only later."""
    wire = [Sent(4.1 + n / 100, HIT_PORT, "GET", f"a{n}") for n in range(5)]
    wire += [Sent(5.1 + n / 20, HIT_PORT, "GET", f"b{n}") for n in range(14)]
    wire += [Sent(7.9 + n / 20, HIT_PORT, "GET", f"c{n}") for n in range(40)]
    requests = list(record().requests)
    requests[41], requests[62] = asked(41, 4.1, status=0), asked(62, 6.2, status=502, post=True)
    faults = (Period(4.0, 5.0), Period(6.0, 7.0))
    result = measure(record(wire=wire, faults=faults, requests=requests), 0.0)
    first, second = result.outages
    assert (first.at_s, first.failed_gets, first.failed_posts) == (0.0, 1, 0)
    assert (second.at_s, second.failed_gets, second.failed_posts) == (2.0, 0, 1)
    assert (first.quiet_ms, first.later) == (pytest.approx(140), 0)
    assert (second.quiet_ms, second.later) == (pytest.approx(0), 0)
    assert (first.back_ms, second.back_ms) == (pytest.approx(100), pytest.approx(900))
    assert result.quiet_ms == first.quiet_ms
    assert result.back_ms == second.back_ms
    assert result.hit_part == pytest.approx(19 / 30)


def test_added_latency_is_that_of_every_outage() -> None:
    requests = list(record().requests)
    requests[65] = asked(65, 6.5, took_s=0.105)
    faults = (Period(4.0, 5.0), Period(6.0, 7.0))
    assert measure(record(requests=requests, faults=faults), 0.0).added_worst_ms == pytest.approx(100)
    assert measure(record(requests=requests), 0.0).added_worst_ms == pytest.approx(0)


def test_where_a_cluster_goes_on_serving_there_is_no_zero_traffic() -> None:
    result = measure(record(wire=[]), None)
    assert (result.quiet_ms, result.later, result.outages) == (None, 0, ())


def test_a_return_is_watched_until_the_end() -> None:
    """Nothing goes to the cluster for the first second; what was there before does not count."""
    wire = [each for each in record().wire or () if each.port != HIT_PORT or not 4.0 <= each.time < 5.0]
    result = measure(record(wire=wire, faults=(), healed=4.0), None)
    assert result.back_ms == pytest.approx(1100)
    assert result.hit_part == pytest.approx(25 / 60)
    assert result.sent_part == pytest.approx(55 / 60)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], None),
        ([n / 1000 for n in range(199)], None),  # one too few: 200 are four fifths of its half
        ([n / 1000 for n in range(200)], 0.0),
        ([n / 100 for n in range(100)] + [1 + n / 500 for n in range(500)], 0.88),
    ],
)
def test_a_cluster_is_back_when_it_gets_its_share(times: list[float], expected: float | None) -> None:
    assert back_at(times, 0.0, 3.0, 1000) == expected


def packet(port: int, sequence: int, flags: int, payload: bytes) -> bytes:
    """An IPv4 packet with a TCP segment, without checksums."""
    tcp = b"\x30\x39" + port.to_bytes(2) + sequence.to_bytes(4) + bytes(4) + bytes([0x50, flags]) + bytes(6)
    ip = b"\x45\x00" + (40 + len(payload)).to_bytes(2) + bytes(4) + b"\x40\x06" + bytes(2) + bytes(8)
    return ip + tcp + payload


def test_on_the_wire_only_what_is_new_counts() -> None:
    stream = Stream()
    get = b"GET /svc1/abc HTTP/1.1\r\n"
    seen = [
        stream.first(packet(80, 99, 0x02, b"")),
        stream.first(packet(80, 99, 0x02, b"")),  # the SYN again
        stream.first(packet(80, 100, 0x10, b"")),  # an ACK
        stream.first(packet(80, 100, 0x18, get)),
        stream.first(packet(80, 100, 0x18, get)),  # again
        stream.first(packet(80, 100 + len(get), 0x18, b"POST /svc1/abd HTTP/1.1\r\n")),
    ]
    assert seen == [(80, SYN, ""), None, None, (80, "GET", "abc"), None, (80, "POST", "abd")]


def test_the_lines_of_the_wire_are_read() -> None:
    assert parse("\n1.5 80 SYN \n2.5 80 GET a\n2.6 80 G") == [
        Sent(1.5, 80, SYN, ""),
        Sent(2.5, 80, "GET", "a"),
    ]


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


def test_flapping_ends_with_the_cluster_back() -> None:
    drill = select(["flapping"])[0]
    assert [step.at for step in drill.schedule(5.0, 6.0)] == [0.0, 2.0, 4.0, 6.0]
    assert [step.at for step in drill.schedule(5.0, 5.0)] == [0.0, 2.0, 4.0, 5.0]
    assert [step.at for step in drill.schedule(5.0, 1.0)] == [0.0, 1.0]
    for step in drill.schedule(5.0, 6.0):
        assert step.action is (drill.heal if step.ends_fault else drill.hit)


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("refused", [(5.0, 5.1), (15.0, 15.3)], (5.0, 15.3, [(5.0, 15.3)])),
        (
            "flapping",
            [(5.0, 5.1), (7.0, 7.1), (9.0, 9.1), (11.0, 11.1)],
            (5.0, 11.1, [(5.0, 7.1), (9.0, 11.1)]),
        ),
        ("return", [(0.0, 0.1), (5.0, 5.2)], (5.2, 5.2, [])),
    ],
)
def test_faults_last_from_their_beginning_to_when_their_end_is_done(
    name: str, taken: list[tuple[float, float]], expected: tuple[float, float, list[tuple[float, float]]]
) -> None:
    hit, healed, between = expected
    steps = select([name])[0].schedule(5.0, 6.0)
    periods = [Period(*each) for each in taken]
    assert faults(steps, periods) == (hit, healed, tuple(Period(*each) for each in between))


def test_an_unknown_drill_is_said_to_be_unknown() -> None:
    with pytest.raises(ValueError, match=r"no drill matches 'fire'; there are removed, refused, "):
        select(["fire"])


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


def test_of_several_runs_the_worst_count_and_the_median_time_are_shown() -> None:
    runs = [
        cell(1, failed_posts=0, added_p99_ms=1.0, quiet_ms=None, failures={}),
        cell(2, failed_posts=3, added_p99_ms=5.0, quiet_ms=7.0, failures={"502": 2, "cut": 1}),
        cell(3, failed_posts=1, added_p99_ms=2.0, quiet_ms=9.0, failures={"cut": 1}),
    ]
    (whole,) = by_cell(runs)
    assert (whole.result.failed_posts, whole.result.added_p99_ms, whole.result.quiet_ms) == (3, 2.0, 9.0)
    assert whole.result.failures == {"502": 2, "cut": 1}
    (most,) = by_cell([*runs, cell(4, quiet_ms=None), cell(5, quiet_ms=None)])
    assert most.result.quiet_ms is None
    assert sum(each.due for each in whole.result.timeline) == 3 * sum(
        each.due for each in runs[0].result.timeline
    )


def test_runs_are_combined_by_drill_and_proxy() -> None:
    assert [(each.drill, each.run) for each in by_cell([cell(1), cell(1, "slow"), cell(2)])] == [
        ("refused", 1),
        ("slow", 1),
    ]


def circumstances() -> report.Circumstances:
    plan = Plan(1000, 5.0, 10.0, 5.0, 0, 1)
    return report.Circumstances("2026-11-21", plan, 2, {"fleetgate": "1"}, ("a remark",), ("fleetgate",))


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


def test_every_run_is_a_line_of_the_json(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    ours, other = cell(1, added_p99_ms=4.00049), replace(cell(2), peer="nginx")
    report.write_json(path, [ours, other], circumstances())
    document = json.loads(path.read_text())
    first, second = document["runs"]
    assert (document["plan"]["rate"], document["versions"]) == (1000, {"fleetgate": "1"})
    assert (first["drill"], first["run"], first["added_p99_ms"]) == ("refused", 1, 4.0)
    assert "zero traffic after evidence, ms: never, target 50" in first["missed"]
    assert "missed" not in second
    assert "timeline" not in first
    assert sum('"drill"' in line for line in path.read_text().splitlines()) == 2
    report.write_json(path, [], circumstances())
    assert json.loads(path.read_text())["runs"] == []


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 5\r\n\r\nother",
        b"Content-Length: 11\r\n\r\nx000000 1-1",  # from where, the head does not say
        b"X-Arrival: 1-1\r\nContent-Length: 11\r\n\r\nx000009 1-1",
        b"X-Arrival: 1-1\r\nContent-Length: 11\r\n\r\nx000000 1-2",  # head and body of two attempts
    ],
)
async def test_the_answer_to_another_request_is_noticed(answer: bytes) -> None:
    assert await statuses(b"HTTP/1.1 200 OK\r\n" + answer) == [MIXED_UP]


async def test_an_answer_is_known_by_id_and_arrival() -> None:
    body = b"Content-Length: 11\r\n\r\nx000000 1-1"
    assert await statuses(b"HTTP/1.1 200 OK\r\nx-arrival: 1-1\r\n" + body) == [200]
    assert await statuses(b"HTTP/1.1 503 Service Unavailable\r\nX-Arrival: 1-2\r\n" + body) == [MIXED_UP]
    assert await statuses(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") == [503]


async def statuses(response: bytes) -> list[int]:
    """Return what becomes of one request that is answered so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    load = Load(server.sockets[0].getsockname()[1], 20, "x")
    await load.run(asyncio.get_running_loop().time(), 0.05)
    load.close()
    server.close()
    return [each.status for each in load.requests]


@pytest.mark.parametrize("find", [nginx.find, haproxy.find, envoy.find])
def test_the_peer_accepts_its_configuration(
    find: Callable[[], nginx.Nginx | haproxy.HAProxy | envoy.Envoy], tmp_path: Path
) -> None:
    try:
        peer = find()
    except Missing as reason:
        pytest.skip(str(reason))
    command = peer.check_command(site.new(tmp_path, site.LOOPBACK))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_network_is_removed_again() -> None:
    try:
        with Network() as network:
            name = network.enter[-1]
            network.cut()
            network.restore()
            assert name in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    except Missing as reason:
        pytest.skip(str(reason))
    assert name not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout


def test_a_small_drill_drills(tmp_path: Path, cores: tuple[int, int]) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest.drills", "--drills", "refused", "--peers", "--rate", "40"),
            *("--before-s", "1", "--fault-s", "1", "--after-s", "1"),
            *("--proxy-core", str(cores[0]), "--load-core", str(cores[1])),
            *("--json", str(tmp_path / "r.json"), "--markdown", str(tmp_path / "r.md")),
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: p99 is not what it was, on a busy machine
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert (run["drill"], run["peer"], run["requests"]) == ("refused", "fleetgate", 120)
    assert (run["failed_gets"], run["duplicate_posts"], run["lost"], run["mixed_up"]) == (0, 0, 0, 0)
    assert 0.8 <= run["survivor"] <= 1.2
    assert "| refused | fleetgate |" in (tmp_path / "r.md").read_text()
