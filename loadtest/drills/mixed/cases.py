"""The cases of the drill as data: what serves, how it is shared, what is slow, and what must hold."""

from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatch
from typing import Final

from loadtest.drills.mixed.origin import Model

FAST_PATH: Final = "items"
SLOW_PATH: Final = "report"


class Split(StrEnum):
    """How the rule divides requests over the two clusters."""

    PREFERRED = "100/0"
    HALVES = "50/50"
    UNWEIGHTED = "no weights"
    PINNED = "pinned to cluster-2"
    HASHED = "hashed by a header"
    STICKY = "sticky cookie"
    LEAST_CONN = "no weights, least_conn"


#: The percentage of GETs that cluster-1 gets; a hash and a session decide for themselves.
CONFIGURED: Final = {
    Split.PREFERRED: 100.0,
    Split.HALVES: 50.0,
    Split.UNWEIGHTED: 50.0,
    Split.PINNED: 0.0,
    Split.LEAST_CONN: 50.0,
}


@dataclass(frozen=True, slots=True)
class Slow:
    """Slow requests: `together` of them at each of the times `at`, in seconds from the start."""

    method: str
    takes_s: float
    at: tuple[float, ...]
    together: int = 1


@dataclass(frozen=True, slots=True)
class Target:
    """Limits of fleetgate's results; None: no limit."""

    repeated_slow: int | None = 0
    repeated_fast_gets: int | None = 0  # ids that were executed more than once
    most_executions_of_fast: int = 1
    repeated_later: int | None = 0  # ids due after the first wave of slow requests has ended
    repeated_posts: int | None = 0
    not_executed: int | None = 0
    failed: int | None = 0
    share_points: float | None = 2.0  # between the GETs of cluster-1 and what is configured
    failovers: int | None = 0
    events: int | None = 0
    breakers: int | None = 0
    holds: int | None = 0


EXACTLY_ONCE: Final = Target()
#: "At most one fast GET repeated once in the first saturation, none later, no slow one ever, no hold."
SATURATED: Final = Target(
    repeated_fast_gets=1, most_executions_of_fast=2, share_points=None, failovers=None, events=None,
    breakers=None,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One case. Rates in requests per second, times in seconds; `pods` is per cluster."""

    name: str
    pods: int
    model: Model
    split: Split
    fast_rate: float
    lasts_s: float
    slow: tuple[Slow, ...]
    workers: int = 1
    fast_posts: bool = True
    same_path: bool = False  # slow requests differ from fast ones in their query only
    annotations: tuple[tuple[str, str], ...] = ()
    leaves_at_s: float | None = None  # cluster-1 has other pods from then on
    returns_at_s: float | None = None
    response_timeout_s: int = 60
    target: Target = EXACTLY_ONCE
    quick: bool = False
    beside_peers: bool = False

    @property
    def longest_s(self) -> float:
        """When the last slow request ends at the latest, if none waits for another one."""
        ends = (at + slow.takes_s for slow in self.slow for at in slow.at)
        return max(self.lasts_s, *ends)


def every(first: float, step: float, until: float) -> tuple[float, ...]:
    return tuple(round(first + number * step, 3) for number in range(int((until - first) / step) + 1))


_MANUAL: Final = (("fleetgate.io/failback", "manual"),)
_NONE: Final = (("fleetgate.io/retry-scope", "none"),)
_T, _1, _S, _P = Model.THREADED, Model.SINGLE, Model.SYNC, Model.POOL

CASES: Final = (
    # What was observed on 2026-11-30, in the order of the report.
    Case(
        "get-6s", 1, _T, Split.PREFERRED, 2, 14, (Slow("GET", 6, (1.0,)),),
        quick=True, beside_peers=True,
    ),
    Case(
        "post-4s-manual", 1, _T, Split.PREFERRED, 2, 10, (Slow("POST", 4, (1.0,)),),
        annotations=_MANUAL, quick=True, beside_peers=True,
    ),
    Case(
        "get-5s-scope-none", 1, _T, Split.PREFERRED, 2, 10, (Slow("GET", 5, (1.0,)),),
        annotations=_NONE, quick=True,
    ),
    Case(
        "get-5s-unweighted", 2, _T, Split.UNWEIGHTED, 8, 12, (Slow("GET", 5, (1.0,)),),
        fast_posts=False, quick=True, beside_peers=True,
    ),
    Case(
        "get-6s-leaving", 1, _T, Split.PREFERRED, 2, 10, (Slow("GET", 6, (1.0,)),),
        leaves_at_s=2.0, returns_at_s=4.0, target=replace(EXACTLY_ONCE, share_points=None, failovers=None,
        events=None, breakers=None), quick=True,
    ),
)  # fmt: skip


def select(patterns: list[str], *, quick: bool) -> list[Case]:
    """Return the cases whose name matches any pattern, in order. Raises ValueError when one matches none."""
    for pattern in patterns:
        if not any(fnmatch(case.name, pattern) for case in CASES):
            raise ValueError(
                f"no case of mixed matches {pattern!r}; there are {', '.join(case.name for case in CASES)}"
            )
    chosen = [case for case in CASES if any(fnmatch(case.name, pattern) for pattern in patterns)]
    return [case for case in chosen if case.quick or not quick]
