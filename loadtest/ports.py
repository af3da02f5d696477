"""Free TCP ports for processes that are told their port before they open it.

A port the kernel picks for `bind(("", 0))` can be picked again a moment later, for another socket bound to
port 0 or for an outgoing connection, before the process it was meant for has opened it. So these ports come
from below the range the kernel picks from, no port is handed out twice by one process, and test processes
that run side by side have ranges of their own.
"""

import os
import random
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: The test runner's name of a process among several: gw0, gw1, ...
_SIDE_BY_SIDE = "PYTEST_XDIST_WORKER"
#: Ports of one such process. Far more than one run asks for.
_SHARE = 2_000
#: Below are the ports that people and the demo choose by hand.
_LOWEST = 12_000
#: Ports that the kernel picks from where it does not name them: the IANA dynamic ports.
_DYNAMIC = 49_152


def free_ports(count: int) -> list[int]:
    """Return `count` ports that no process listens on now."""
    return [next(_ports) for _ in range(count)]


def free_port() -> int:
    """Return a port that no process listens on now."""
    return next(_ports)


def _candidates() -> Iterator[int]:
    """Yield ports of which each is free on all addresses when it is yielded."""
    try:
        highest = int(_RANGE.read_text().split()[0]) - 1
    except (OSError, ValueError, IndexError):
        highest = _DYNAMIC - 1
    if highest - _LOWEST < 1000:
        # The machine keeps no ports back: the whole range has to do, with its small risk.
        highest = 65_535
    first, size = _part(_LOWEST, highest - _LOWEST + 1)
    start = random.randrange(size)  # two test runs on one machine should not meet
    for step in count():
        port = first + (start + step) % size
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        yield port


def _part(first: int, size: int) -> tuple[int, int]:
    """Return the range of this process: all of it, or its share where test processes run side by side."""
    worker = os.environ.get(_SIDE_BY_SIDE, "")
    shares = size // _SHARE
    if not worker or not shares:
        return first, size
    return first + int(worker.removeprefix("gw")) % shares * _SHARE, _SHARE


_ports = _candidates()
