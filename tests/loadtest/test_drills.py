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
from loadtest.drills import chart, site
from loadtest.drills.drills import DRILLS, select
from loadtest.drills.load import MIXED_UP, Load, Request
from loadtest.drills.measure import Received, Record, Result, duplicates, measure, quiet_at
from loadtest.drills.network import Network
from loadtest.drills.peers import envoy, haproxy, nginx
from loadtest.drills.run import Cell
from loadtest.drills.targets import missed
from loadtest.drills.wire import SYN, Sent, Stream, parse

PROJECT = Path(__file__).parents[2]
HIT_PORT, OTHER_PORT = 2000, 1000


def asked(number: int, due: float, took_s: float = 0.005, status: int = 200, post: bool = False) -> Request:
    return Request(str(number), post, due, due + took_s, status)


def record(**changes: object) -> Record:
    """Ten seconds of ten requests each, every second one to either cluster; hit at 4, healed at 7."""
    requests = [asked(number, number / 10, post=number % 4 == 3) for number in range(100)]
    wire = [
        Sent(each.due, (OTHER_PORT, HIT_PORT)[number % 2], "POST" if each.is_post else "GET", each.identity)
        for number, each in enumerate(requests)
    ]
    received = [
        Received(each.time, site.HIT if each.port == HIT_PORT else site.SURVIVOR, each.kind, each.identity)
        for each in wire
    ]
    whole = Record(10, 0.0, 4.0, 7.0, 10.0, requests, received, wire, (HIT_PORT,))
    return replace(whole, **changes)  # type: ignore[arg-type]


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
    assert duplicates(Received(0.0, "cluster-1", kind, identity) for kind, identity in kinds) == 2


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
    ],
)
def test_missed_targets_are_named(changes: dict[str, object], expected: list[str]) -> None:
    result = measure(record(wire=[Sent(4.0, HIT_PORT, SYN, "")], received=record().received), 0.0)
    result = replace(result, failed_unsent=0, added_unwritten_p99_ms=1.0, added_written_p99_ms=None)
    changed: Result = replace(result, **changes)  # type: ignore[arg-type]
    assert list(missed(select(["refused"])[0], changed)) == expected


def test_flapping_ends_with_the_cluster_back() -> None:
    drill = select(["flapping"])[0]
    assert [at for at, _ in drill.schedule(5.0, 6.0)] == [0.0, 2.0, 4.0, 6.0]
    assert [action for _, action in drill.schedule(5.0, 6.0)] == [
        drill.hit,
        drill.heal,
        drill.hit,
        drill.heal,
    ]


def test_an_unknown_drill_is_said_to_be_unknown() -> None:
    with pytest.raises(ValueError, match=r"no drill matches 'fire'; there are removed, refused, "):
        select(["fire"])


def test_the_chart_has_a_panel_for_each_cell() -> None:
    cells = [Cell(drill.name, "fleetgate", measure(record(), 0.0), (), 0.0, 0.0) for drill in DRILLS]
    text = chart.svg(cells, 3.0, "today")
    assert len(re.findall("<polyline", text)) == 2 * len(DRILLS)
    ET.fromstring(text)


async def test_the_answer_to_another_request_is_noticed() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    load = Load(server.sockets[0].getsockname()[1], 20, "x")
    await load.run(asyncio.get_running_loop().time(), 0.1)
    load.close()
    server.close()
    assert [each.status for each in load.requests] == [MIXED_UP, MIXED_UP]


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
    (cell,) = json.loads((tmp_path / "r.json").read_text())["cells"]
    result = cell["result"]
    assert (cell["drill"], cell["peer"], result["requests"]) == ("refused", "fleetgate", 120)
    assert (result["failed_gets"], result["duplicate_posts"], result["lost"], result["mixed_up"]) == (
        0,
        0,
        0,
        0,
    )
    assert 0.8 <= result["survivor"] <= 1.2
    assert "| refused | fleetgate |" in (tmp_path / "r.md").read_text()
