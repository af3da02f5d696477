"""The drills as data: the fault of cluster-2, and the limits of fleetgate's results."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from math import ceil

from loadtest.drills.backends import Backends
from loadtest.drills.network import Network
from loadtest.drills.origin import SERVICE_S, SLOWDOWN, Mode
from loadtest.drills.peers import Running
from loadtest.drills.site import DEADLINE_S, HIT

FLAP_S = 2.0


@dataclass(frozen=True, slots=True)
class Stage:
    """The stage of a drill: parts that a fault can hit. There is a network only where a drill needs one."""

    backends: Backends
    proxy: Running
    network: Network | None = None


Action = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Step:
    """An action `at` seconds from the hit; the step that ends a fault follows the step that begins it."""

    at: float
    action: Action
    ends_fault: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Limits of fleetgate's results; None: no limit. Times in milliseconds."""

    failed_gets: int | None = 0
    failed_posts: int | None = None
    """Failed POSTs, those that an endpoint may have seen included: unsent ones may never fail."""
    get_ms: float | None = None  # the slowest GET as long as the fault lasts
    added_p99_ms: float | None = None  # of requests not written to cluster-2, where that is known
    added_written_p99_ms: float | None = None
    quiet_ms: float | None = None  # from the first evidence until cluster-2 gets nothing
    back_ms: float | None = None  # from the end of the fault until cluster-2 has its share
    survivor: float | None = 1.2  # requests that cluster-1 gets, of those that are due
    sent: float | None = 1.2  # requests that both get, of those that are due
    duplicate_slow: int | None = None  # executions of slow GETs beyond the first
    slow_ms: float | None = None  # the slowest slow GET, with any answer


@dataclass(frozen=True, slots=True)
class Drill:
    """`evidence_s`: seconds from the first request that meets the fault until the fault can show.

    None where cluster-2 goes on serving: then no proxy has to avoid it.
    """

    name: str
    meaning: str
    hit: Action
    heal: Action
    target: Target
    evidence_s: float | None = 0.0
    needs_network: bool = False
    slow_every_s: float | None = None  # beside the load, a GET that takes two seconds
    begins_hit: bool = False  # cluster-2 is away from the beginning, and comes back at the time of the hit
    flaps: bool = False

    def schedule(self, before_s: float, fault_s: float) -> list[Step]:
        """Return the steps of the drill, in order."""
        if self.begins_hit:
            return [Step(-before_s, self.hit), Step(0.0, self.heal, ends_fault=True)]
        if not self.flaps:
            return [Step(0.0, self.hit), Step(fault_s, self.heal, ends_fault=True)]
        flaps = max(1, ceil(fault_s / FLAP_S / 2))
        steps = []
        for begin in (number * 2 * FLAP_S for number in range(flaps)):
            steps.append(Step(begin, self.hit))
            steps.append(Step(min(begin + FLAP_S, fault_s), self.heal, ends_fault=True))
        return steps


def _tell(mode: Mode) -> Action:
    return lambda stage: stage.backends.tell(HIT, mode)


def _kill(stage: Stage) -> None:
    stage.backends.signal(HIT, signal.SIGKILL)


def _start(stage: Stage) -> None:
    stage.backends.start(HIT)


def _stop(stage: Stage) -> None:
    stage.backends.signal(HIT, signal.SIGSTOP)


def _continue(stage: Stage) -> None:
    stage.backends.signal(HIT, signal.SIGCONT)


def _remove(stage: Stage) -> None:
    stage.proxy.remove()


def _restore(stage: Stage) -> None:
    stage.proxy.restore()


def _cut(stage: Stage) -> None:
    assert stage.network is not None
    stage.network.cut()


def _mend(stage: Stage) -> None:
    assert stage.network is not None
    stage.network.restore()


_OK = _tell(Mode.OK)
SUSPICION_S = 0.1
"""Silence, while a request waits, after which an endpoint is a suspect, and is probed."""
PROOF_S = SUSPICION_S + 0.15
"""Time of the earliest proof that a process does not run: a probe that is unanswered for 150 ms."""
HEDGE_S = 0.05
SLOW_S = SERVICE_S * (SLOWDOWN - 1)
"""Time that a slow endpoint adds to an answer."""

DRILLS = (
    Drill(
        "removed",
        "the endpoints of cluster-2 are taken out of the configuration",
        _remove,
        _restore,
        Target(failed_posts=0, quiet_ms=50),
    ),
    Drill(
        "refused",
        "its processes are killed (SIGKILL): connections are refused",
        _kill,
        _start,
        Target(added_p99_ms=3, quiet_ms=50),
    ),
    Drill(
        "reset",
        "open connections are reset, new ones with their first request",
        _tell(Mode.RESET),
        _OK,
        Target(added_p99_ms=3, quiet_ms=50),
    ),
    Drill(
        "hang",
        "its processes are stopped (SIGSTOP): connections are accepted, nothing is answered",
        _stop,
        _continue,
        Target(failed_posts=25, get_ms=350, quiet_ms=50),
        evidence_s=PROOF_S,
    ),
    Drill(
        "hang-slow",
        "as hang, and a GET of two seconds every second, under the same rule",
        _stop,
        _continue,
        Target(get_ms=500, quiet_ms=250, duplicate_slow=0, slow_ms=DEADLINE_S * 1e3 + 250),
        evidence_s=PROOF_S,
        slow_every_s=1.0,
    ),
    Drill(
        "lost-syn",
        "open connections are closed in order, new ones get no answer",
        _tell(Mode.DEAF),
        _OK,
        Target(added_p99_ms=60, quiet_ms=50),
        evidence_s=HEDGE_S,
    ),
    Drill(
        "black-hole",
        "its network loses everything, on open connections and new ones",
        _cut,
        _mend,
        Target(added_p99_ms=60, added_written_p99_ms=250, quiet_ms=50),
        evidence_s=SUSPICION_S,
        needs_network=True,
    ),
    Drill(
        "all-503",
        "503 to everything",
        _tell(Mode.ERROR),
        _OK,
        Target(quiet_ms=50),
        evidence_s=0.005,
    ),
    Drill(
        "slow",
        "answers take twenty times as long",
        _tell(Mode.SLOW),
        _OK,
        Target(failed_posts=0, added_p99_ms=3, added_written_p99_ms=SLOW_S * 1e3 + 10),
        evidence_s=None,
    ),
    Drill(
        "random-502",
        "502 to a tenth of the requests",
        _tell(Mode.RANDOM),
        _OK,
        Target(added_p99_ms=3, added_written_p99_ms=25),
        evidence_s=None,
    ),
    Drill(
        "flapping",
        "away for two seconds, back for two",
        _tell(Mode.GONE),
        _OK,
        Target(added_p99_ms=3, quiet_ms=50),
        flaps=True,
    ),
    Drill(
        "return",
        "away from the beginning, it comes back",
        _tell(Mode.GONE),
        _OK,
        Target(failed_posts=0, added_p99_ms=3, back_ms=10_000),
        evidence_s=None,
        begins_hit=True,
    ),
)


def select(patterns: list[str]) -> list[Drill]:
    """Return the drills whose name matches any pattern, in order. Raises ValueError when one matches none."""
    for pattern in patterns:
        if not any(fnmatch(drill.name, pattern) for drill in DRILLS):
            raise ValueError(
                f"no drill matches {pattern!r}; there are {', '.join(drill.name for drill in DRILLS)}"
            )
    return [drill for drill in DRILLS if any(fnmatch(drill.name, pattern) for pattern in patterns)]
