"""Who may have a port: nobody else's listener is joined, and one that is let go of is free."""

import socket

import pytest

from controlplane.supervisor import processes
from controlplane.supervisor.sockets import CannotListen, open_group
from loadtest.ports import free_port


def listener(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen()
    return made


def test_a_port_of_another_process_is_not_shared() -> None:
    port = free_port()
    with listener(port), pytest.raises(CannotListen, match=f"port {port} is in use by"):
        open_group(("127.0.0.1", port), 1, lambda: ())


@pytest.mark.parametrize("look", ["listeners", "all_held_by"])
def test_a_port_that_is_let_go_of_during_the_check_is_taken(
    monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    def let_go_first(*arguments: object) -> object:
        held.close()
        return real(*arguments)

    port = free_port()
    held, real = listener(port), getattr(processes, look)
    monkeypatch.setattr(f"controlplane.supervisor.sockets.processes.{look}", let_go_first)
    (opened,) = open_group(("127.0.0.1", port), 1, lambda: ())
    opened.close()
