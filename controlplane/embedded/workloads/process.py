"""The process of one pod: start it, wait until it listens, end it."""

import asyncio
import os
import signal
from collections.abc import Sequence

import msgspec

from controlplane.embedded.workloads.addresses import Placement
from controlplane.system import children

START_S = 20.0
"""A pod that does not listen by then counts as failed; machines under load start processes slowly."""


class StartFailed(Exception):
    """The process ended, or did not listen in time; the message says why."""


class Command(msgspec.Struct, frozen=True):
    """The values that a pod shows in its answers."""

    pod: str
    cluster: str
    env: str
    config: str

    def arguments(self, placement: Placement) -> list[str]:
        named = {"--env": self.env, "--config": self.config, "--pod": self.pod, "--cluster": self.cluster}
        values = [f"{name}={value}" for name, value in named.items()]
        ports = [f"--port={port}" for port in placement.ports]
        return [*values, f"--host={placement.address}", *ports, f"--parent={os.getpid()}"]


class PodProcess:
    """A running web-demo process. `ports` are those it listens on, in the order they were asked for."""

    def __init__(self, process: asyncio.subprocess.Process, ports: Sequence[int]) -> None:
        self._process = process
        self.ports = tuple(ports)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int:
        """The exit code as container runtimes give it: 128 + signal for a killed process."""
        code = self._process.returncode or 0
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def end(self, grace_s: float) -> None:
        """Wait for the process to end; after `grace_s` it is killed."""
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            try:
                self._process.send_signal(number)
            except ProcessLookupError:  # the process ended between the two lines
                pass


async def start(command: Command, placement: Placement) -> PodProcess:
    """Start a pod and return when it listens. Raises StartFailed."""
    process = await asyncio.create_subprocess_exec(
        *children.python("controlplane.embedded.webdemo"),
        *command.arguments(placement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=children.environment(),
        start_new_session=True,  # Ctrl-C in the terminal of the demo must not reach pods before SIGTERM does
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
    except TimeoutError:
        line = b""
    except BaseException:
        process.kill()
        await process.wait()
        raise
    words = line.split()
    if not words or words[0] != b"listening":
        if process.returncode is None:
            process.kill()
        raise StartFailed(f"the pod process ended with code {await process.wait()} before it listened")
    return PodProcess(process, [int(word) for word in words[1:]])
