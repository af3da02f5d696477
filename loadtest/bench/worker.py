"""One fleetgate worker, with this program as its control plane."""

import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.nginx import wait_until_listening
from loadtest.bench.setup import Ports, snapshot
from proxy.model.channel import Ack, Apply, Drain, FromWorker, Hello, ToWorker, encode, from_worker_framer

START_S = 15.0


@dataclass(slots=True)
class Worker:
    """A started worker and the connection it takes orders from."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def stop(self) -> None:
        try:
            self.control.sendall(encode(Drain(grace_s=1.0)))
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        finally:
            self.control.close()


def start(directory: Path, core: int, ports: Ports) -> Worker:
    """Start a worker pinned to a core, give it the snapshot, and return when it serves."""
    path = directory / "control.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        server.settimeout(START_S)
        command = [
            *("taskset", "-c", str(core), sys.executable, "-m", "proxy.worker"),
            *("--id", "0", "--socket", str(path), "--generation", "bench"),
            *("--access-log", str(directory / "fleetgate-access.log")),
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            control, _ = server.accept()
            control.settimeout(START_S)
            _apply(control, Apply(snapshot(ports)))
        except (OSError, ValueError) as error:
            process.kill()
            _, errors = process.communicate()
            raise SystemExit(
                f"the worker did not start: {error}; {errors.decode(errors='replace')}"
            ) from error
    wait_until_listening(process, ports.fleetgate)
    return Worker(process, control)


def _apply(control: socket.socket, order: ToWorker) -> None:
    """Send the snapshot after the worker's Hello. Raises ValueError unless it is acknowledged."""
    framer = from_worker_framer()
    pending: list[FromWorker] = []
    sent = False
    while True:
        while not pending:
            data = control.recv(65536)
            if not data:
                raise ValueError("it closed its control connection")
            pending += framer.feed(data)
        message = pending.pop(0)
        if isinstance(message, Hello) and not sent:
            control.sendall(encode(order))
            sent = True
        elif isinstance(message, Ack):
            return
        else:
            raise ValueError(f"unexpected answer {message!r}")
