"""The load in open loop: every request that is due is counted, whatever becomes of it."""

import socket
from pathlib import Path

import pytest

from loadtest.compare import backend
from loadtest.compare.rows import Origin
from loadtest.overload.load import Load, Phase
from loadtest.ports import free_ports


@pytest.mark.parametrize("connections", [0, 5])
def test_requests_answered_in_time_are_good(tmp_path: Path, cores: tuple[int, int], connections: int) -> None:
    ports = free_ports(1)
    phase = Phase("")
    with backend.started(Origin.FILES, ports, tmp_path, (cores[1],)):
        load = Load(ports[0], connections, 10)
        load.warm_up()
        load.run(phase, 100, 1.0)
        load.settle()
        load.close()
    assert (phase.due, phase.good, phase.refused, phase.cut, phase.late) == (100, 100, 0, 0, 0)


def test_requests_without_a_free_connection_are_counted_and_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        load = Load(silent.getsockname()[1], 1, 10)
        load.warm_up()
        phase = Phase("")
        load.run(phase, 50, 0.5)
        load.settle()
        load.close()
    assert (phase.due, phase.good, phase.late) == (25, 0, 25)
