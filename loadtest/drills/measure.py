"""What a run says, computed from its three records: of the load, of the endpoints, and of the wire."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from loadtest.drills.load import GIVEN_UP, MIXED_UP, NO_STATUS, Request
from loadtest.drills.site import HIT
from loadtest.drills.wire import SYN, Sent

FIRST_S = 1.0
"""What is said of the time after the hit is said of this much of it."""
SETTLE_S = 1.0
"""At the beginning connections are opened: this does not count as how it is without a fault."""
QUIET_WINDOW_S = 0.5
QUIET_SHARE = 0.01
"""A cluster gets nothing when in a window it gets less than this of what is due: probes."""
BACK_SHARE = 0.8
"""A cluster is back when in a window it gets this much of its half of the requests."""
BIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Received:
    """A request that arrived whole at an endpoint."""

    time: float
    cluster: str
    method: str
    identity: str


@dataclass(frozen=True, slots=True)
class Record:
    """A run. Times are of the monotonic clock, in seconds; `wire` is None where it could not be seen.

    `hit` was at the beginning of the fault, `healed` after its end; a cluster that returns is hit by that.
    """

    rate: int
    start: float
    hit: float
    healed: float
    end: float
    requests: Sequence[Request]
    received: Sequence[Received]
    wire: Sequence[Sent] | None
    hit_ports: tuple[int, ...]

    def due(self, since: float, until: float) -> list[Request]:
        return [each for each in self.requests if since <= each.due < until]

    def towards_hit(self) -> list[tuple[float, str]]:
        """Return when something, and of what kind, went to the cluster that was hit, or arrived there."""
        if self.wire is None:
            return sorted((each.time, each.method) for each in self.received if each.cluster == HIT)
        return sorted((each.time, each.kind) for each in self.wire if each.port in self.hit_ports)

    def towards_survivor(self) -> list[float]:
        """Return when requests were sent to the other cluster, connection attempts not counted."""
        if self.wire is None:
            return sorted(each.time for each in self.received if each.cluster != HIT)
        return sorted(each.time for each in self.wire if each.port not in self.hit_ports and each.kind != SYN)

    def written_to_hit(self) -> set[str]:
        """Return the ids of the requests that were sent to the cluster in its fault."""
        return {
            each.identity
            for each in self.wire or ()
            if each.port in self.hit_ports and each.kind != SYN and self.hit <= each.time < self.healed
        }


@dataclass(frozen=True, slots=True)
class Bin:
    """A tenth of a second. `at` is counted from the hit; latencies of what was due then, in milliseconds."""

    at: float
    due: int
    p50_ms: float
    worst_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Result:
    """Counts from the hit to the end. "Added" are latencies of answered requests due in the second after it:

    a p99 over the p99 before, the worst over the median before. None: not known, or nothing to tell.
    """

    requests: int
    failed_before: int  # ended without success before the hit: no drill's doing
    failed_gets: int
    failed_posts: int
    failures: dict[str, int]  # by status, or what there was instead of one
    failed_unsent: int | None  # requests that failed though not a byte of them went to an endpoint
    duplicate_posts: int
    lost: int  # answered with 200, and no endpoint has seen it
    mixed_up: int
    given_up: int
    base_p50_ms: float
    base_p99_ms: float
    added_p99_ms: float | None
    added_worst_ms: float | None
    added_unwritten_p99_ms: float | None  # of those that were not written to the cluster in its fault
    added_written_p99_ms: float | None
    slowest_get_ms: float | None  # of the whole fault
    quiet_ms: float | None  # from the hit until the cluster gets nothing; None: it does not come to that
    quiet_after_evidence_ms: float | None
    later: int  # sent to it after that, in the fault
    survivor: float  # requests that the other cluster gets, of those due in the second after the hit
    survivor_most: float  # the same for the worst second of the fault
    back_ms: float | None  # from the end of the fault until the cluster has its share; None: not seen
    late_failed: int  # in the last seconds, well after the fault
    late_p99_ms: float | None
    timeline: tuple[Bin, ...]


def measure(record: Record, evidence_s: float) -> Result:
    base = record.due(min(record.start + SETTLE_S, (record.start + record.hit) / 2), record.hit)
    first = [each for each in record.due(record.hit, record.hit + FIRST_S) if not each.has_failed]
    written = record.written_to_hit()
    fault = record.due(record.hit, record.healed)
    late = record.due((record.healed + record.end) / 2, record.end)
    p50, p99 = percentile_ms(base, 50) or 0.0, percentile_ms(base, 99) or 0.0
    towards_hit = [each for each in record.towards_hit() if record.hit <= each[0] < record.healed]
    quiet = quiet_at(towards_hit, record.hit, record.healed, record.rate)
    evidence = towards_hit[0][0] + evidence_s if towards_hit else record.hit
    seen = {each.identity for each in record.received}
    failed = [each for each in record.requests if each.has_failed and each.ended >= record.hit]
    loads = survivor_loads(record)
    return Result(
        requests=len(record.requests),
        failed_before=sum(each.has_failed and each.ended < record.hit for each in record.requests),
        failed_gets=sum(not each.is_post for each in failed),
        failed_posts=sum(each.is_post for each in failed),
        failures=dict(Counter(_how(each) for each in failed)),
        failed_unsent=_unsent(record, failed),
        duplicate_posts=duplicates(record.received),
        lost=sum(each.status == 200 and each.identity not in seen for each in record.requests),
        mixed_up=sum(each.status == MIXED_UP for each in record.requests),
        given_up=sum(each.status == GIVEN_UP for each in record.requests),
        base_p50_ms=p50,
        base_p99_ms=p99,
        added_p99_ms=_over(percentile_ms(first, 99), p99),
        added_worst_ms=_over(percentile_ms(first, 100), p50),
        added_unwritten_p99_ms=_over(
            percentile_ms((each for each in first if each.identity not in written), 99), p99
        ),
        added_written_p99_ms=_over(
            percentile_ms((each for each in first if each.identity in written), 99), p99
        ),
        slowest_get_ms=percentile_ms((each for each in fault if not each.is_post), 100),
        quiet_ms=None if quiet is None else (quiet - record.hit) * 1e3,
        quiet_after_evidence_ms=None if quiet is None else max(0.0, quiet - evidence) * 1e3,
        later=0 if quiet is None else sum(time > quiet for time, _ in towards_hit),
        survivor=loads[0],
        survivor_most=max(loads),
        back_ms=_back_ms(record),
        late_failed=sum(each.has_failed for each in late),
        late_p99_ms=percentile_ms(late, 99),
        timeline=timeline(record),
    )


def percentile_ms(requests: Iterable[Request], percent: float) -> float | None:
    """Return a percentile of the time since they were due, None of no requests."""
    took = sorted(each.latency_s for each in requests)
    return took[ceil(len(took) * percent / 100) - 1] * 1e3 if took else None


def duplicates(received: Iterable[Received]) -> int:
    """Return how often a POST arrived that had arrived before."""
    counts = Counter(each.identity for each in received if each.method == "POST")
    return sum(count - 1 for count in counts.values())


def quiet_at(sent: Sequence[tuple[float, str]], since: float, until: float, rate: int) -> float | None:
    """Return from when on the cluster gets nothing but probes for a while; None when it always gets more.

    A connection attempt and the request on it are one probe.
    """
    permitted = rate * QUIET_WINDOW_S * QUIET_SHARE
    for candidate in (since, *(time for time, _ in sent)):
        if candidate + QUIET_WINDOW_S > until:
            return None
        kinds = [kind == SYN for time, kind in sent if candidate < time <= candidate + QUIET_WINDOW_S]
        if max(kinds.count(True), kinds.count(False)) <= permitted:
            return candidate
    return None


def _back_ms(record: Record) -> float | None:
    times = [time for time, kind in record.towards_hit() if time >= record.healed and kind != SYN]
    wanted = record.rate / 2 * QUIET_WINDOW_S * BACK_SHARE
    for since in times:
        if sum(since <= time < since + QUIET_WINDOW_S for time in times) >= wanted:
            return (since - record.healed) * 1e3
    return None


def survivor_loads(record: Record) -> list[float]:
    """Return the load of the other cluster for each second of the fault, 1.0 being all that is due."""
    times = record.towards_survivor()
    whole = max(1, int(record.healed - record.hit))
    seconds = (record.hit + number for number in range(whole))
    return [sum(since <= time < since + FIRST_S for time in times) / record.rate for since in seconds]


def timeline(record: Record) -> tuple[Bin, ...]:
    bins = []
    first = ceil((record.start - record.hit) / BIN_S)
    for number in range(first, int((record.end - record.hit) / BIN_S)):
        at = number * BIN_S
        due = record.due(record.hit + at, record.hit + at + BIN_S)
        answered = [each for each in due if not each.has_failed]
        p50, worst = percentile_ms(answered, 50), percentile_ms(answered, 100)
        failed = len(due) - len(answered)
        bins.append(Bin(round(at, 3), len(due), p50 or 0.0, worst or 0.0, failed))
    return tuple(bins)


def _unsent(record: Record, failed: Sequence[Request]) -> int | None:
    if record.wire is None:
        return None
    sent = {each.identity for each in record.wire}
    return sum(each.identity not in sent for each in failed)


def _how(failed: Request) -> str:
    return NO_STATUS.get(failed.status, str(failed.status))


def _over(value: float | None, base: float) -> float | None:
    return None if value is None else value - base
