"""The result of a case: executions per id, shares, latencies, and missed limits. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from loadtest.drills.load import NO_STATUS
from loadtest.drills.mixed.cases import CONFIGURED, Case, Target
from loadtest.drills.mixed.client import Asked
from loadtest.drills.mixed.pods import Executed
from loadtest.drills.mixed.witness import Seen
from loadtest.drills.site import SURVIVOR


@dataclass(frozen=True, slots=True)
class Miss:
    """A missed limit, and the value instead."""

    what: str
    value: float
    limit: float

    def __str__(self) -> str:
        return f"{self.what}: {self.value:.4g}, target {self.limit:.4g}"


@dataclass(frozen=True, slots=True)
class Result:
    """Times in milliseconds. Members that only fleetgate can report are None for another proxy."""

    requests: int
    slow: int
    executions_of_slow: tuple[int, ...]  # of each slow request, in the order in which they were due
    statuses_of_slow: tuple[str, ...]
    repeated_slow: int
    repeated_fast_gets: int
    most_executions_of_fast: int
    repeated_later: int
    repeated_posts: int
    not_executed: int
    failed: int
    failures: dict[str, int]
    share: float  # percent of the executed GETs that cluster-1 got
    share_points: float | None  # distance of that from the configured share
    fast_p50_ms: float
    fast_p99_ms: float
    fast_worst_ms: float
    failovers: int | None
    events: int | None
    breakers: int | None
    holds: int | None
    said: tuple[str, ...]  # reports of the gateway, in its words


def account(
    case: Case,
    asked: Sequence[Asked],
    executed: Sequence[Executed],
    cluster_of: Mapping[int, str],
    seen: Seen | None,
) -> Result:
    counts = Counter(each.identity for each in executed)
    slow = [each for each in asked if each.planned.is_slow]
    fast = [each for each in asked if not each.planned.is_slow]
    repeated = [each for each in asked if counts[each.planned.identity] > 1]
    failed = [each for each in asked if each.status != 200]
    latencies = sorted(each.took_s * 1e3 for each in fast if each.status == 200)
    share = _share(executed, cluster_of)
    configured = CONFIGURED.get(case.split)
    return Result(
        requests=len(asked),
        slow=len(slow),
        executions_of_slow=tuple(counts[each.planned.identity] for each in slow),
        statuses_of_slow=tuple(_status(each) for each in slow),
        repeated_slow=sum(each.planned.is_slow for each in repeated),
        repeated_fast_gets=sum(
            not each.planned.is_slow and each.planned.method == "GET" for each in repeated
        ),
        most_executions_of_fast=max((counts[each.planned.identity] for each in fast), default=0),
        repeated_later=sum(each.planned.at >= first_wave_ends(case) for each in repeated),
        repeated_posts=sum(each.planned.method == "POST" for each in repeated),
        not_executed=sum(not counts[each.planned.identity] for each in asked),
        failed=len(failed),
        failures=dict(Counter(_status(each) for each in failed)),
        share=share,
        share_points=None if configured is None else abs(share - configured),
        fast_p50_ms=_percentile(latencies, 50),
        fast_p99_ms=_percentile(latencies, 99),
        fast_worst_ms=_percentile(latencies, 100),
        failovers=len(seen.failovers) if seen else None,
        events=len(seen.events) if seen else None,
        breakers=len({each.partition(" ")[0] for each in seen.breakers}) if seen else None,
        holds=len(seen.holds) if seen else None,
        said=_said(seen) if seen else (),
    )


def missed(target: Target, result: Result) -> tuple[Miss, ...]:
    """Return every limit that the result misses."""
    return tuple(
        Miss(what, value, limit)
        for what, value, limit in _compared(target, result)
        if value is not None and limit is not None and value > limit
    )


def first_wave_ends(case: Case) -> float:
    """Return when the first slow requests of each kind have ended, in seconds from the start."""
    return max((slow.at[0] + slow.takes_s for slow in case.slow), default=0.0)


def _compared(target: Target, result: Result) -> Iterator[tuple[str, float | None, float | None]]:
    yield "slow requests executed again", result.repeated_slow, target.repeated_slow
    yield "fast GETs executed again", result.repeated_fast_gets, target.repeated_fast_gets
    yield "executions of one fast request", result.most_executions_of_fast, target.most_executions_of_fast
    yield "executed again later", result.repeated_later, target.repeated_later
    yield "POSTs executed again", result.repeated_posts, target.repeated_posts
    yield "not executed", result.not_executed, target.not_executed
    yield "failed", result.failed, target.failed
    yield "GET share off, points", result.share_points, target.share_points
    yield "failovers", result.failovers, target.failovers
    yield "Events", result.events, target.events
    yield "breakers opened", result.breakers, target.breakers
    yield "clusters held out", result.holds, target.holds


def _share(executed: Sequence[Executed], cluster_of: Mapping[int, str]) -> float:
    gets = [cluster_of[each.port] for each in executed if each.method == "GET"]
    return 100.0 * gets.count(SURVIVOR) / len(gets) if gets else 0.0


def _said(seen: Seen) -> tuple[str, ...]:
    return (
        *(f"endpoint {each}" for each in sorted(seen.states)),
        *(f"breaker {each}" for each in sorted(seen.breakers)),
        *(f"reduced {each}" for each in sorted(seen.reduced)),
        *(f"failover {each}" for each in seen.failovers),
        *(f"event {each}" for each in seen.events),
        *(f"at the end {each}" for each in seen.explained),
    )


def _status(asked: Asked) -> str:
    return NO_STATUS.get(asked.status, str(asked.status))


def _percentile(values: Sequence[float], percent: float) -> float:
    return values[ceil(len(values) * percent / 100) - 1] if values else 0.0
