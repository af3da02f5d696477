"""The soak program, as small as it can be: that it measures, and that it would notice."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadtest.kit.traffic import END, Traffic

PROJECT = Path(__file__).parents[2]


def test_a_small_run_measures_everything(tmp_path: Path, cores: tuple[int, int]) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest.soak", "--json", str(tmp_path / "r.json")),
            *("--proxy-core", str(cores[0]), "--load-core", str(cores[1])),
            *("--rate", "200", "--quiet-s", "1", "--attack-s", "1", "--opening-s", "0.2"),
            *("--attackers", "50", "--byte-every", "0.2", "--requests", "100", "--idle", "50"),
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())["fleetgate"]
    during = result["slowloris"]["phases"]["during"]
    assert 150 <= during["requests"] <= 300
    assert 0 < during["p50_ms"] <= during["p99_ms"] <= during["slowest_ms"]
    assert result["slowloris"]["attackers"]["most_open"] == 50
    assert result["memory"]["points"][0]["requests"] >= 100
    assert result["memory"]["points"][0]["rss_bytes"] > 1 << 20
    assert result["idle"]["connections"] == 50


def test_attackers_say_when_and_how_they_were_closed() -> None:
    """A server that closes the first of three connections after its third byte, with an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connections = [server.accept()[0] for _ in range(3)]
            got = b""
            while len(got) < 3:
                got += connections[0].recv(1)
            assert got == b"GET"
            connections[0].sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            connections[0].close()
            connections.append(server.accept()[0])  # it comes again
            for connection in connections[1:]:
                while connection.recv(100):
                    pass
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "loadtest.soak.attackers", "--port", str(server.getsockname()[1])),
                *("--connections", "3", "--byte-every", "0.1", "--opening-s", "0.1", "--seconds", "1"),
            ],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
        )
        thread.join(5)
        assert not thread.is_alive()
    said = json.loads(done.stdout)
    assert (said["most_open"], said["closed"]) == (3, 1)
    assert said["answers"] == {"HTTP/1.1 408 Request Timeout": 1}
    assert 0.2 <= said["age_s"]["least"] < 1


@pytest.mark.parametrize(("status", "failed"), [(b"200 OK", False), (b"503 Service Unavailable", True)])
def test_normal_traffic_counts_what_fails_and_times_from_when_it_was_due(status: bytes, failed: bool) -> None:
    finished = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            """Leave the first request unanswered until three more are due."""
            first = True
            while not finished.is_set():
                with contextlib.suppress(TimeoutError, ConnectionError), server.accept()[0] as connection:
                    while connection.recv(1000):
                        finished.wait(0.2 if first else 0)
                        first = False
                        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 90" + END)

        thread = threading.Thread(target=serve)
        thread.start()
        with Traffic(server.getsockname()[1], rate=20, connections=1) as traffic:
            traffic.start()
            seen = traffic.run(0.5)
        finished.set()
        thread.join(5)
    if failed:
        assert seen.failed > 0
        assert seen.latencies == []
    else:
        assert seen.failed == 0
        assert seen.latencies[0] >= 0.18
        assert seen.latencies[1] >= 0.13  # due while the first was under way
        assert seen.percentile_ms(50) < seen.percentile_ms(100)
