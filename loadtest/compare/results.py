"""Measurements, and the ratios and medians that are computed from them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

BUSY = 0.85
"""Share of its core below which a proxy did not limit the round."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One round of one peer."""

    row: str
    peer: str
    round: int
    requests_per_s: float
    cpu_us_per_request: float
    core_share: float  # part of the round in which the proxy ran: below 1 it waited for load, or for its core
    p50_ms: float
    p99_ms: float
    errors: int
    rss_bytes: int
    idle_bytes: float | None = None  # memory of the proxy per idle connection
    idle_closed: int = 0  # idle connections that the proxy closed


Value = Callable[[Measurement], float]

METRICS: dict[str, Value] = {
    "requests_per_s": lambda m: m.requests_per_s,
    "cpu_us_per_request": lambda m: m.cpu_us_per_request,
    "core_share": lambda m: m.core_share,
    "p50_ms": lambda m: m.p50_ms,
    "p99_ms": lambda m: m.p99_ms,
    "rss_bytes": lambda m: m.rss_bytes,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """All measurements of a run. `ours` are the names of the fleetgate builds among the peers."""

    peers: tuple[str, ...]
    ours: tuple[str, ...]
    measurements: list[Measurement] = field(default_factory=list)

    @property
    def rows(self) -> list[str]:
        return list(dict.fromkeys(m.row for m in self.measurements))

    def of(self, row: str, peer: str) -> list[Measurement]:
        return [m for m in self.measurements if m.row == row and m.peer == peer]

    def median(self, row: str, peer: str, metric: str) -> float | None:
        values = [METRICS[metric](m) for m in self.of(row, peer)]
        return median(values) if values else None

    def ratio(self, row: str, ours: str, peer: str, metric: str) -> float | None:
        """Return the median over the rounds of ours/peer: a machine's speed changes, neighbours' less."""
        theirs = {m.round: METRICS[metric](m) for m in self.of(row, peer)}
        pairs = [(METRICS[metric](m), theirs.get(m.round)) for m in self.of(row, ours)]
        ratios = [mine / other for mine, other in pairs if other]
        return median(ratios) if ratios else None

    def others(self) -> list[str]:
        return [peer for peer in self.peers if peer not in self.ours]

    def idle_bytes(self, row: str, peer: str) -> float | None:
        values = [m.idle_bytes for m in self.of(row, peer) if m.idle_bytes is not None]
        return median(values) if values else None

    def is_limited_elsewhere(self, row: str, peer: str) -> bool:
        share = self.median(row, peer, "core_share")
        return share is not None and share < BUSY

    def errors(self, peers: Iterable[str]) -> int:
        chosen = set(peers)
        return sum(m.errors + m.idle_closed for m in self.measurements if m.peer in chosen)
