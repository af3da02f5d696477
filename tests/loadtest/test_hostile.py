"""The program of hostile traffic, as small as it can be: that it measures, and that it would notice."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadtest.hostile.__main__ import Result
from loadtest.hostile.kinds import KINDS
from loadtest.hostile.worker import SECONDS, shared

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT)}


@pytest.mark.parametrize("kind", ["404", "up-chunks"])
def test_a_small_run_measures_everything(tmp_path: Path, cores: tuple[int, int], kind: str) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "loadtest.hostile", "--json", str(tmp_path / "r.json")),
            *("--proxy-core", str(cores[0]), "--load-core", str(cores[1])),
            *("--kinds", kind, "--connections", "2", "--rate", "100", "--seconds", "1"),
        ],
        cwd=PROJECT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,  # its verdict depends on the machine
    )
    (result,) = json.loads((tmp_path / "r.json").read_text())["fleetgate"]
    assert (result["kind"], result["connections"], result["failed"]) == (kind, 2, 0)
    assert 0 < result["p50_ms"] <= result["p999_ms"]
    assert result["turn_ms"] > 0
    assert result["attacker_mb_per_s"] > 0


def test_attackers_send_whole_pieces_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        received = bytearray()

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                while data := connection.recv(1 << 16):
                    received.extend(data)

        thread = threading.Thread(target=serve)
        thread.start()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "loadtest.hostile.attack", "--port", str(server.getsockname()[1])),
                *("--kind", "chunks", "--rate", "1", "--seconds", "0.5"),
            ],
            cwd=PROJECT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
        thread.join(5)
        assert not thread.is_alive()
    kind = KINDS["chunks"]
    assert received.startswith(kind.first + kind.piece * 1000)
    assert json.loads(done.stdout)["sent"] == len(received) - len(kind.first)


def test_the_longest_turn_is_shared_by_a_file(tmp_path: Path) -> None:
    one, other = shared(tmp_path / "turns"), shared(tmp_path / "turns")
    SECONDS.pack_into(one, 0, 0.25)
    assert SECONDS.unpack_from(other)[0] == 0.25


@pytest.mark.parametrize(
    ("connections", "turn_ms", "p999_ms", "failed", "holds"),
    [
        (1, 20, 50, 0, True), (1, 21, 50, 0, False), (1, 20, 51, 0, False),
        (500, 20, 250, 0, True), (500, 20, 251, 0, False), (1, 1, 1, 1, False),
    ],
)  # fmt: skip
def test_bounds(connections: int, turn_ms: float, p999_ms: float, failed: int, holds: bool) -> None:
    result = Result("404", connections, turn_ms, 1.0, p999_ms, failed, 1.0, 1.0, 20.0, 0.5, 36.0)
    assert result.holds is holds
