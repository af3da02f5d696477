"""Resident memory of a worker: after numbers of requests, and for each idle connection."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

from loadtest.compare.idle import IdleConnections
from loadtest.kit.processes import rss_bytes
from loadtest.soak.setting import COLD, IDLE, WARM, Serving

ROUND_S = 2
MOST_ROUNDS = 200
"""Rounds after which a measurement ends, however slow the machine."""


@dataclass(frozen=True, slots=True)
class After:
    requests: int
    rss_bytes: int
    errors: int


def growth(worker: Serving, milestones: list[int]) -> Iterator[After]:
    """Yield the memory when each number of requests is done; wrk goes on to the end of its round.

    Rounds of cold and warm heads alternate, each on 32 new connections. Raises LoadError, TimeoutError.
    """
    done = errors = rounds = 0
    rows = cycle((COLD, WARM))
    for milestone in milestones:
        while done < milestone:
            seen = worker.load(next(rows), ROUND_S)
            done += seen.requests
            errors += seen.errors
            rounds += 1
            if rounds >= MOST_ROUNDS:
                raise TimeoutError(f"{done:,} requests in {rounds} rounds: not worth waiting for")
        yield After(done, rss_bytes(worker.pid), errors)


def bytes_per_idle(worker: Serving, connections: int) -> float:
    """Return the memory of a connection that did one request and is silent.

    The worker has to be fresh: memory used before would hide the connection's. Raises OSError, LoadError.
    """
    worker.load(WARM, 1)
    before = rss_bytes(worker.pid)
    with IdleConnections(replace(IDLE, idle=connections), worker.port) as idle:
        grown = rss_bytes(worker.pid) - before
        closed = idle.closed()
    if closed:
        raise ConnectionError(f"{closed} of {connections} idle connections were closed")
    return grown / connections
