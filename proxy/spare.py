"""A spare worker process: it has done its imports, and waits for the place of another worker.

Interpreter and imports are nearly all of the time that a replacement needs: 0.2 s of CPU time, which on a
busy machine is a second of a client's.
"""

import socket

import msgspec

from proxy.model.channel import Place


class Given(msgspec.Struct, frozen=True):
    """A worker's number, and the descriptors that it would have inherited."""

    worker: int
    fds: int
    liveness: int
    evidence: int


def wait_for_place(fd: int) -> Given | None:
    """Block until the supervisor gives a place; None when it ended or has no use for this process.

    `fd` is the inherited SOCK_SEQPACKET socket to the supervisor.
    """
    with socket.socket(fileno=fd) as channel:
        try:
            data, descriptors, _, _ = socket.recv_fds(channel, 4096, 3)
        except OSError:
            return None
    if not data:
        return None
    return Given(msgspec.json.decode(data, type=Place).worker, *descriptors)
