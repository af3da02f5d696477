"""The comparison as a whole, as short as it can be, and what is computed from it."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.compare import wrk
from loadtest.compare.figures import Result
from loadtest.compare.idle import IdleConnections
from loadtest.compare.results import Measurement, Outcome
from loadtest.compare.rows import ROWS, select
from loadtest.compare.runner import rotated
from loadtest.compare.workers import divide

PROJECT = Path(__file__).parents[2]
WRK = """
Running 2s test @ http://127.0.0.1:40000/svc1/90B
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   594.74us    2.35ms  51.50ms   99.08%
    Req/Sec    87.50k     6.92k   94.31k    85.00%
  Latency Distribution
     50%  337.00us
     75%  390.00us
     90%    1.10ms
     99%    1.02s
  174117 requests in 2.00s, 38.03MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 7
Requests/sec:  87012.35
Transfer/sec:     19.00MB
"""


def run(program: str, *arguments: str) -> str:
    """Run a program of the comparison; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_prints_its_table_and_writes_its_files(tmp_path: Path, cores: tuple[int, int]) -> None:
    said = run(
        "loadtest.compare",
        *("--rounds", "1", "--seconds", "1", "--rows", "90B-32-cold"),
        *("--proxy-core", str(cores[0]), "--load-core", str(cores[1])),
        *("--json", str(tmp_path / "r.json"), "--markdown", str(tmp_path / "r.md")),
        *("--chart", str(tmp_path / "r.svg")),
    )
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["medians"]["90B-32-cold"]["fleetgate"]["requests_per_s"] > 0
    assert result["ratios"]["90B-32-cold"]["fleetgate/nginx"]["requests_per_s"] > 0
    assert {m["errors"] for m in result["measurements"]} == {0}
    assert "| 90B-32-cold |" in (tmp_path / "r.md").read_text()
    assert ET.parse(tmp_path / "r.svg").getroot().tag.endswith("svg")
    assert "fleetgate/nginx" in said


def test_routing_tables_are_measured(tmp_path: Path, cores: tuple[int, int]) -> None:
    run(
        "loadtest.compare.routes",
        *("--routes", "1", "500", "--swaps", "1", "--json", str(tmp_path / "r.json")),
        *("--proxy-core", str(cores[0]), "--load-core", str(cores[1])),
    )
    one, many = json.loads((tmp_path / "r.json").read_text())
    assert (one["routes"], many["routes"]) == (1, 500)
    assert many["lookups"]["found_us"] > 0
    assert many["swaps"]["swap_s"] > 0
    assert many["swaps"]["failed"] == 0


def test_one_worker_and_two_are_measured(tmp_path: Path, cores: tuple[int, int]) -> None:
    run(
        "loadtest.compare.workers",
        *("--rows", "90B-32-warm", "--rounds", "1", "--seconds", "1", "--json", str(tmp_path / "r.json")),
    )
    rounds = json.loads((tmp_path / "r.json").read_text())
    assert [each["workers"] for each in rounds] == [1, 2]
    assert all(share > 0 for share in rounds[1]["core_shares"])


def test_idle_connections_stay_and_those_that_are_closed_are_counted() -> None:
    row = replace(select(["idle-warm"])[0], idle=30)
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def answer() -> None:
            for _ in range(row.idle):
                connection, _ = server.accept()
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                accepted.append(connection)

        thread = threading.Thread(target=answer)
        thread.start()
        with IdleConnections(row, server.getsockname()[1]) as idle:
            thread.join()
            assert idle.closed() == 0
            accepted.pop().close()
            deadline = time.monotonic() + 5
            while idle.closed() == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert idle.closed() == 1
        for connection in accepted:
            connection.close()


def test_the_output_of_wrk_is_understood() -> None:
    result = wrk.parse(WRK, 2.1)
    assert result == Result(174117, 2.1, 87012.35, 0.337, 1020.0, 11)


def test_ratios_are_of_neighbouring_rounds() -> None:
    def measured(peer: str, number: int, speed: float) -> Measurement:
        return Measurement("row", peer, number, speed, 10.0, 0.99, 1.0, 2.0, 0, 1)

    outcome = Outcome(("ours", "theirs"), ("ours",))
    for number, (mine, other) in enumerate([(10.0, 20.0), (50.0, 50.0), (8.0, 10.0)]):
        outcome.measurements.extend((measured("ours", number, mine), measured("theirs", number, other)))
    assert outcome.ratio("row", "ours", "theirs", "requests_per_s") == 0.8
    assert outcome.median("row", "ours", "requests_per_s") == 10.0


@pytest.mark.parametrize("names", ["ab", "abcd", "abcde"])
def test_each_name_is_first_equally_often_and_none_is_left_out(names: str) -> None:
    orders = ["".join(rotated(names, number)) for number in range(2 * len(names))]
    assert all(sorted(order) == list(names) for order in orders)
    assert [order[0] for order in orders] == [*names, *reversed(names)]


def test_a_row_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no row matches 'nothing'.*90B-32-warm"):
        select(["nothing"])
    assert [row.name for row in select(["90B-32-*"])] == ["90B-32-warm", "90B-32-cold"]


def test_no_row_is_warm_only() -> None:
    names = {row.name for row in ROWS if not row.idle}
    assert {name.replace("-warm", "-cold") for name in names} <= names


def test_two_workers_share_their_cores_with_the_load_only_when_there_are_no_others() -> None:
    few, many = divide([0, 1, 2]), divide([0, 1, 2, 3])
    assert (few.are_shared, few.of_load(1), few.of_load(2)) == (True, (1,), (0, 1))
    assert (many.are_shared, many.of_load(1), many.of_load(2)) == (False, (2, 3), (2, 3))
