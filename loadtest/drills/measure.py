"""The figures of a run, computed from its three records: of the load, of the endpoints, of the wire."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf

from loadtest.drills.load import GIVEN_UP, MIXED_UP, NO_STATUS, Request
from loadtest.drills.origin import REPORT
from loadtest.drills.record import Period, Received, Record
from loadtest.drills.traffic import back_at, part, quiet_at, survivor_loads

FIRST_S = 1.0
"""Length of the time after the hit that the figures are about."""
SETTLE_S = 1.0
"""Time at the beginning in which connections are opened: left out of the figures before the fault."""
BIN_S = 0.1
_REPORT = REPORT.decode()


@dataclass(frozen=True, slots=True)
class Bin:
    """A tenth of a second. `at` is counted from the hit; latencies of requests due then, in milliseconds."""

    at: float
    due: int
    p50_ms: float
    worst_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A period in which the cluster was to get no request, and the time until the next such period."""

    at_s: float  # seconds from the hit
    failed_gets: int
    failed_posts: int
    quiet_ms: (
        float | None
    )  # from its beginning until the cluster gets nothing; None: it does not come to that
    quiet_after_evidence_ms: float | None
    later: int  # sent to it after that, in the period
    back_ms: float | None  # from its end until the cluster has its share; None: not before the next one


@dataclass(frozen=True, slots=True)
class Result:
    """Counts from the hit to the end.

    "Added" are latencies of answered requests due in the second after the hit, or after each of several hits:
    the p99 less the p99 before, the worst less the median before. None: not known, or there is no value; for
    times until an event: the event did not come.
    """

    requests: int
    failed_before: int  # ended without success before the hit: no drill's doing
    failed_gets: int
    failed_posts: int
    failures: dict[str, int]  # by status, or by the reason why there is none
    failed_unsent: int | None  # requests that failed though not a byte of them went to an endpoint
    duplicate_posts: int
    slow: int  # slow GETs beside the load; the next three are about them, nothing else is
    failed_slow: int
    duplicate_slow: int
    slowest_slow_ms: float | None
    lost: int  # answered with 200 though no endpoint has seen the arrival in the answer
    mixed_up: int
    given_up: int
    base_p50_ms: float
    base_p99_ms: float
    added_p99_ms: float | None
    added_worst_ms: float | None
    added_unwritten_p99_ms: float | None  # of those that were not written to the cluster in its fault
    added_written_p99_ms: float | None
    slowest_get_ms: float | None  # slowest GET of the whole fault
    quiet_ms: float | None  # of the worst outage, as the next one
    quiet_after_evidence_ms: float | None
    later: int  # requests of all outages
    survivor: float  # requests that the other cluster gets, of those due in the second after the hit
    survivor_most: float  # the same for the worst second of the fault
    hit_part: float  # requests sent to the cluster that is hit, of those due in the fault
    sent_part: float  # the same to both: beyond 1 by requests that were sent more than once
    back_ms: float | None  # from the end of the fault until the cluster has its share; None: not seen
    late_failed: int  # failed requests of the last seconds, well after the fault
    late_p99_ms: float | None
    faults: tuple[tuple[float, float], ...]  # from when to when, in seconds from the hit
    outages: tuple[Outage, ...]
    timeline: tuple[Bin, ...]


def measure(record: Record, evidence_s: float | None) -> Result:
    """`evidence_s`: see Drill."""
    base = record.due(min(record.start + SETTLE_S, (record.start + record.hit) / 2), record.hit)
    first = [each for each in _first(record) if not each.has_failed]
    written = record.written_to_hit()
    watched = record.watched()
    late = record.due((record.healed + record.end) / 2, record.end)
    p50, p99 = percentile_ms(base, 50) or 0.0, percentile_ms(base, 99) or 0.0
    failed = [each for each in record.requests if each.has_failed and each.ended >= record.hit]
    outages = () if evidence_s is None else _outages(record, evidence_s, failed)
    loads = survivor_loads(record)
    asked = record.asked_of_hit()
    hit_part = part(asked, watched, record.rate)
    return Result(
        requests=len(record.requests),
        failed_before=sum(each.has_failed and each.ended < record.hit for each in record.requests),
        failed_gets=sum(not each.is_post for each in failed),
        failed_posts=sum(each.is_post for each in failed),
        failures=dict(Counter(_how(each) for each in failed)),
        failed_unsent=_unsent(record, failed),
        duplicate_posts=duplicates(record.received),
        slow=len(record.slow),
        failed_slow=sum(each.has_failed for each in record.slow),
        duplicate_slow=_repeated(each for each in record.received if each.identity.startswith(_REPORT)),
        slowest_slow_ms=percentile_ms(record.slow, 100),
        lost=_lost(record),
        mixed_up=sum(each.status == MIXED_UP for each in record.requests),
        given_up=sum(each.status == GIVEN_UP for each in (*record.requests, *record.slow)),
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
        slowest_get_ms=percentile_ms(
            (each for each in record.due(watched.since, watched.until) if not each.is_post), 100
        ),
        quiet_ms=_worst(each.quiet_ms for each in outages),
        quiet_after_evidence_ms=_worst(each.quiet_after_evidence_ms for each in outages),
        later=sum(each.later for each in outages),
        survivor=loads[0],
        survivor_most=max(loads),
        hit_part=hit_part,
        sent_part=hit_part + part(record.asked_of_survivor(), watched, record.rate),
        back_ms=_ms_since(record.healed, back_at(asked, record.healed, record.end, record.rate)),
        late_failed=sum(each.has_failed for each in late),
        late_p99_ms=percentile_ms(late, 99),
        faults=tuple((each.since - record.hit, each.until - record.hit) for each in _faulty(record)),
        outages=outages,
        timeline=timeline(record),
    )


def percentile_ms(requests: Iterable[Request], percent: float) -> float | None:
    """Return a percentile of the time since they were due, None of no requests."""
    took = sorted(each.latency_s for each in requests)
    return took[ceil(len(took) * percent / 100) - 1] * 1e3 if took else None


def duplicates(received: Iterable[Received]) -> int:
    """Return how often a POST arrived that had arrived before."""
    return _repeated(each for each in received if each.method == "POST")


def _repeated(received: Iterable[Received]) -> int:
    counts = Counter(each.identity for each in received)
    return sum(count - 1 for count in counts.values())


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


def _faulty(record: Record) -> tuple[Period, ...]:
    """Return the faults, also that which was there before a cluster returned."""
    return record.faults or (Period(record.start, record.hit),)


def _first(record: Record) -> list[Request]:
    """Return the requests due in the second after each hit, or after the return."""
    begins = [fault.since for fault in record.faults] or [record.hit]
    return [each for begin in begins for each in record.due(begin, begin + FIRST_S)]


def _outages(record: Record, evidence_s: float, failed: Sequence[Request]) -> tuple[Outage, ...]:
    ends = [*(fault.since for fault in record.faults[1:]), inf]
    towards_hit, asked = record.towards_hit(), record.asked_of_hit()
    found = []
    for fault, end in zip(record.faults, ends, strict=True):
        sent = [each for each in towards_hit if each[0] in fault]
        quiet = quiet_at(sent, fault.since, fault.until, record.rate)
        evidence = sent[0][0] + evidence_s if sent else fault.since
        ended = [each for each in failed if fault.since <= each.ended < end]
        back = back_at(asked, fault.until, min(end, record.end), record.rate)
        found.append(
            Outage(
                at_s=fault.since - record.hit,
                failed_gets=sum(not each.is_post for each in ended),
                failed_posts=sum(each.is_post for each in ended),
                quiet_ms=_ms_since(fault.since, quiet),
                quiet_after_evidence_ms=_ms_since(evidence, quiet),
                later=0 if quiet is None else sum(time > quiet for time, _ in sent),
                back_ms=_ms_since(fault.until, back),
            )
        )
    return tuple(found)


def _ms_since(begin: float, time: float | None) -> float | None:
    return None if time is None else max(0.0, time - begin) * 1e3


def _worst(times: Iterable[float | None]) -> float | None:
    """Return the longest; None, which is never, is longer than any."""
    worst = max((inf if time is None else time for time in times), default=inf)
    return None if worst == inf else worst


def _unsent(record: Record, failed: Sequence[Request]) -> int | None:
    """Return how many failed requests never were on the wire; None where the record of the wire has gaps."""
    if record.wire is None:
        return None
    sent = {each.identity for each in record.wire}
    if any(each.arrival and each.identity not in sent for each in record.requests):
        return None
    return sum(each.identity not in sent for each in failed)


def _lost(record: Record) -> int:
    arrived = {each.arrival: each.identity for each in record.received}
    return sum(each.status == 200 and arrived.get(each.arrival) != each.identity for each in record.requests)


def _how(failed: Request) -> str:
    return NO_STATUS.get(failed.status, str(failed.status))


def _over(value: float | None, base: float) -> float | None:
    return None if value is None else value - base
