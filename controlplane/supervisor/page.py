"""Memory that supervisor and workers share: a liveness page each, and one file of evidence for all."""

import fcntl
import mmap
import os
import re
from typing import Self

from proxy.model.liveness import COUNTER, PAGE_BYTES

_STACK_BYTES = 8192
_FRAME = re.compile(r'File "([^"\n]+)", line (\S+) in (\S+)')


class LivenessPage:
    """One worker process's page; `fd` is the descriptor that the process inherits."""

    def __init__(self) -> None:
        self.fd = memory_file("fleetgate-liveness", PAGE_BYTES)
        self._map = mmap.mmap(self.fd, PAGE_BYTES, access=mmap.ACCESS_READ)

    def turns(self) -> int:
        """Return how many turns of its loop the worker has noted."""
        (turns,) = COUNTER.unpack_from(self._map)
        return int(turns)

    def stack(self) -> str:
        """Return where the worker was at the last SIGQUIT, innermost call first; "" when it did not say."""
        written = os.pread(self.fd, _STACK_BYTES, PAGE_BYTES).decode(errors="replace")
        return " < ".join(_frame(*found) for found in _FRAME.findall(written))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._map.close()
        os.close(self.fd)


def memory_file(name: str, size: int) -> int:
    """Return the descriptor of a new file of zeros that lives in memory and goes with its last descriptor."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    # A worker that was taken over could else cut it off: reading it would end the other processes (SIGBUS)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return fd


def _frame(path: str, line: str, function: str) -> str:
    """Return the part of a path that tells modules apart, without its place on this machine."""
    return f"{'/'.join(path.split('/')[-2:])}:{line} {function}"
