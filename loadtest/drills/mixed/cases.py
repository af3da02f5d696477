"""The cases of the drill as data: endpoints, shares, slow requests, and limits."""

from dataclasses import dataclass
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
    share_points: float | None = 2.0  # between the GETs of cluster-1 and its configured share
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
    id_in_path: bool = False  # no two requests have the same path
    annotations: tuple[tuple[str, str], ...] = ()
    leaves_at_s: float | None = None  # the pods of cluster-1 leave, and other ones are there later
    returns_at_s: float | None = None
    is_named: bool = False  # cluster-1 is a server group's host name, whose address is another one later
    response_timeout_s: int = 60
    target: Target = EXACTLY_ONCE
    quick: bool = False
    beside_peers: bool = False

    @property
    def longest_s(self) -> float:
        """Seconds until the last slow request ends at the latest, if none waits for another one."""
        ends = (at + slow.takes_s for slow in self.slow for at in slow.at)
        return max(self.lasts_s, *ends)


def every(first: float, step: float, until: float) -> tuple[float, ...]:
    return tuple(round(first + number * step, 3) for number in range(int((until - first) / step) + 1))


_MANUAL: Final = (("fleetgate.io/failback", "manual"),)
_NONE: Final = (("fleetgate.io/retry-scope", "none"),)
_T, _1, _S, _P = Model.THREADED, Model.SINGLE, Model.SYNC, Model.POOL
#: Its pods leave while a request is under way: cluster-2 serves, and an Event says so.
LEFT: Final = Target(share_points=None, failovers=None, events=None, breakers=None)

CASES: Final = (
    # Observations of 2026-11-30, in the order of the report.
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
        leaves_at_s=2.0, returns_at_s=4.0, target=LEFT, quick=True,
    ),
    Case(
        "get-45s-dns", 1, _T, Split.PREFERRED, 2, 50, (Slow("GET", 45, (1.0,)),),
        leaves_at_s=3.0, returns_at_s=3.0, is_named=True, target=LEFT,
    ),
    # One request at a time: all requests that come to the pod wait for the slow one.
    Case(
        "single", 1, _1, Split.PREFERRED, 2, 18,
        (Slow("GET", 4, (1.0,)), Slow("POST", 3, (9.0,))),
    ),
    Case(
        "single-halves", 2, _1, Split.HALVES, 20, 12,
        (Slow("GET", 2, (1.0, 5.0, 8.0)), Slow("POST", 1.5, (3.0, 7.0))), quick=True,
    ),
    Case(
        "single-unweighted", 4, _1, Split.UNWEIGHTED, 50, 25,
        (Slow("GET", 4, every(1, 5, 20)), Slow("POST", 2, every(3, 5, 20))),
    ),
    Case(
        "sync-unweighted", 2, _S, Split.UNWEIGHTED, 20, 16,
        (Slow("GET", 3, (1.0, 7.0)), Slow("POST", 3, (4.0, 10.0))),
    ),
    # Pools with room.
    Case("pool-room", 1, _P, Split.PREFERRED, 2, 15, (Slow("GET", 5, (1.0, 8.0), together=3),)),
    Case(
        "pool-room-halves", 2, _P, Split.HALVES, 100, 20,
        (Slow("GET", 3, every(1, 2, 16), together=2), Slow("POST", 2, every(2, 2, 16))),
    ),
    # As many as there can be at a time, at a high rate, for a long time.
    Case(
        "brief-200", 4, _T, Split.HALVES, 200, 20,
        (Slow("GET", 0.2, every(1, 0.4, 18)), Slow("GET", 0.5, every(1.2, 0.5, 18)),
         Slow("POST", 0.3, every(1.1, 0.5, 18))),
        workers=2, fast_posts=False,
    ),
    Case(
        "long", 1, _T, Split.PREFERRED, 2, 64, (Slow("GET", 60, (1.0,)), Slow("POST", 20, (5.0,))),
        response_timeout_s=90,
    ),
    Case(
        "many-kinds", 4, _T, Split.HALVES, 100, 40,
        (Slow("GET", 1, every(1, 3, 30)), Slow("GET", 6, every(2, 7, 30)), Slow("GET", 30, (3.0,)),
         Slow("POST", 3, every(1.5, 5, 30)), Slow("POST", 12, (4.0, 20.0))),
        workers=2, fast_posts=False,
    ),
    Case("same-path", 2, _T, Split.HALVES, 20, 12, (Slow("GET", 3, (1.0, 6.0)),), same_path=True, quick=True),
    Case("id-in-path", 2, _T, Split.HALVES, 20, 12, (Slow("GET", 3, (1.0, 6.0)),), id_in_path=True),
    Case(
        "put-delete", 2, _T, Split.HALVES, 20, 14, (Slow("PUT", 4, (1.0,)), Slow("DELETE", 4, (7.0,))),
    ),
    # Where requests go is not for the balancer to choose.
    Case(
        "pinned", 2, _T, Split.PINNED, 4, 14, (Slow("GET", 5, (1.0,)), Slow("POST", 5, (7.0,))),
    ),
    Case(
        "hashed", 2, _T, Split.HASHED, 20, 14, (Slow("GET", 5, (1.0,)), Slow("POST", 4, (7.0,))),
    ),
    Case(
        "sticky", 2, _P, Split.STICKY, 20, 14, (Slow("GET", 5, (2.0,)), Slow("POST", 4, (8.0,))),
    ),
    Case(
        "least-conn", 4, _T, Split.LEAST_CONN, 20, 14, (Slow("GET", 5, (1.0,)), Slow("POST", 4, (7.0,))),
    ),
    # Settings of an Ingress for retries and for coming back.
    Case(
        "scope-none-2-workers", 2, _T, Split.HALVES, 40, 16,
        (Slow("GET", 5, (1.0, 8.0)), Slow("POST", 5, (2.0,))),
        workers=2, fast_posts=False, annotations=_NONE,
    ),
    Case(
        "manual-2-workers", 1, _T, Split.PREFERRED, 4, 16,
        (Slow("GET", 4, (1.0, 8.0)), Slow("POST", 4, (2.0,))),
        workers=2, fast_posts=False, annotations=_MANUAL,
    ),
    # All four threads of every pod are busy with slow requests.
    Case(
        "pool-full", 1, _P, Split.PREFERRED, 10, 16, (Slow("GET", 4, (1.0, 8.0), together=4),),
        target=SATURATED, quick=True, beside_peers=True,
    ),
    Case(
        "pool-full-unweighted", 2, _P, Split.UNWEIGHTED, 40, 16,
        (Slow("GET", 4, (1.0, 8.0), together=16),), target=SATURATED,
    ),
    Case(
        "pool-full-manual", 1, _P, Split.HALVES, 20, 16,
        (Slow("POST", 4, (1.0,), together=8), Slow("GET", 4, (8.0,), together=8)),
        annotations=_MANUAL, target=SATURATED,
    ),
    Case(
        "pool-full-8s", 1, _P, Split.PREFERRED, 2, 20, (Slow("GET", 8, (1.0,), together=4),),
        target=SATURATED,
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
