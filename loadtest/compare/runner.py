"""Runs the rows: backend and load on one core, the proxies on another, one of them under load at a time."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from loadtest.compare import backend, load
from loadtest.compare.idle import IdleConnections
from loadtest.compare.peers import Peer, Running
from loadtest.compare.results import Measurement
from loadtest.compare.rows import Row
from loadtest.kit import certificate
from loadtest.kit.processes import StartError, cpu_s, rss_bytes
from loadtest.kit.site import HOST, Site, free_clusters
from loadtest.ports import free_ports

WARM_UP_S = 1

Each = TypeVar("Each")


@dataclass(frozen=True, slots=True)
class Plan:
    peers: list[Peer]
    rounds: int
    seconds: int
    proxy_core: int
    load_core: int
    directory: Path


@dataclass(frozen=True, slots=True)
class Contestant:
    """A peer that serves."""

    peer: Peer
    site: Site
    running: Running


def run_row(plan: Plan, row: Row) -> Iterator[Measurement]:
    """Yield the measurements of a row; all that is started is stopped again.

    Raises StartError, LoadError, OSError.
    """
    directory = plan.directory / row.name
    directory.mkdir()
    clusters = free_clusters()
    ports = [port for pair in clusters.values() for port in pair]
    with backend.started(row.origin, ports, directory, (plan.load_core,)):
        yield from _RowRun(plan, row, directory, clusters).measurements()


class _RowRun:
    """The run of one row. Peers that are not measured at the moment run idle, at hardly any cost."""

    def __init__(self, plan: Plan, row: Row, directory: Path, clusters: dict[str, tuple[int, int]]) -> None:
        self._plan = plan
        self._row = row
        self._directory = directory
        self._clusters = clusters
        self._prepared = load.prepare(row, directory)
        self._starts = 0

    def measurements(self) -> Iterator[Measurement]:
        if self._row.idle:
            yield from self._beside_idle()
            return
        with ExitStack() as stack:
            serving = [stack.enter_context(self._started(peer)) for peer in self._plan.peers]
            for number in range(self._plan.rounds):
                for contestant in rotated(serving, number):
                    yield self._measure(contestant, number)

    def _beside_idle(self) -> Iterator[Measurement]:
        """Use a fresh process each time: memory used before would hide the memory of a connection."""
        for number in range(self._plan.rounds):
            for peer in rotated(self._plan.peers, number):
                with self._started(peer) as contestant:
                    before = rss_bytes(contestant.running.pid)
                    with IdleConnections(self._row, contestant.site.port) as idle:
                        grown = rss_bytes(contestant.running.pid) - before
                        yield self._measure(contestant, number, idle, grown / self._row.idle)

    @contextmanager
    def _started(self, peer: Peer) -> Iterator[Contestant]:
        """Start a peer and give it a second of the row's load."""
        self._starts += 1
        directory = self._directory / f"{peer.name}-{self._starts}"
        directory.mkdir()
        pair = certificate.made(directory, HOST) if self._row.tls else None
        site = Site(directory, free_ports(1)[0], self._clusters, pair, self._row.http2)
        running = peer.start(site, self._plan.proxy_core)
        try:
            seen = load.run(self._row, self._prepared, site.port, WARM_UP_S, (self._plan.load_core,))
            if seen.errors >= seen.requests:
                raise StartError(f"{peer.name} answers no request of the row {self._row.name}")
            yield Contestant(peer, site, running)
        finally:
            running.stop()
            empty(site.access_log)

    def _measure(
        self,
        contestant: Contestant,
        number: int,
        idle: IdleConnections | None = None,
        idle_bytes: float | None = None,
    ) -> Measurement:
        plan, pid = self._plan, contestant.running.pid
        used = cpu_s(pid)
        seen = load.run(self._row, self._prepared, contestant.site.port, plan.seconds, (plan.load_core,))
        used = cpu_s(pid) - used
        empty(contestant.site.access_log)
        return Measurement(
            row=self._row.name,
            peer=contestant.peer.name,
            round=number,
            requests_per_s=seen.requests_per_s,
            cpu_us_per_request=used * 1e6 / max(1, seen.requests),
            core_share=used / seen.elapsed_s,
            p50_ms=seen.p50_ms,
            p99_ms=seen.p99_ms,
            errors=seen.errors,
            rss_bytes=rss_bytes(pid),
            idle_bytes=idle_bytes,
            idle_closed=idle.closed() if idle else 0,
        )


def rotated(all_of_them: Sequence[Each], number: int) -> Sequence[Each]:
    """Return the order of a round: each peer is first in turn, and the next time around goes backwards."""
    turn, shift = divmod(number, len(all_of_them))
    order = all_of_them[::-1] if turn % 2 else all_of_them
    return [*order[shift:], *order[:shift]]


def empty(access_log: Path) -> None:
    """Empty a log: a minute of load writes a gigabyte. All proxies append, so the file starts anew."""
    if access_log.exists():
        os.truncate(access_log, 0)
