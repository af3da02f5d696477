"""A run as it was recorded: by the load, by the endpoints, and on the wire."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.drills.load import Request
from loadtest.drills.site import HIT
from loadtest.drills.wire import SYN, Sent


@dataclass(frozen=True, slots=True)
class Received:
    """A request that arrived whole at an endpoint."""

    time: float
    cluster: str
    method: str
    identity: str
    arrival: str


@dataclass(frozen=True, slots=True)
class Period:
    """A time in which the fault was there, in seconds of the monotonic clock."""

    since: float
    until: float

    def __contains__(self, time: float) -> bool:
        return self.since <= time < self.until


@dataclass(frozen=True, slots=True)
class Record:
    """A run. Times are of the monotonic clock, in seconds; `wire` is None where it could not be seen.

    `hit` is when the fault began and `healed` when it was over for good; both are the return of a cluster
    that was away from the beginning, and then there are no `faults`.
    """

    rate: int
    start: float
    hit: float
    healed: float
    end: float
    faults: tuple[Period, ...]
    requests: Sequence[Request]
    received: Sequence[Received]
    wire: Sequence[Sent] | None
    hit_ports: tuple[int, ...]
    slow: Sequence[Request] = ()

    def watched(self) -> Period:
        """Return the period of figures of the whole fault; where there is none, the time after the return."""
        return Period(self.hit, self.healed if self.faults else self.end)

    def due(self, since: float, until: float) -> list[Request]:
        return [each for each in self.requests if since <= each.due < until]

    def towards_hit(self) -> list[tuple[float, str]]:
        """Return times and kinds of connection attempts and requests to the cluster that was hit."""
        if self.wire is None:
            return sorted((each.time, each.method) for each in self.received if each.cluster == HIT)
        return sorted((each.time, each.kind) for each in self.wire if each.port in self.hit_ports)

    def asked_of_hit(self) -> list[float]:
        """Return when requests were sent to that cluster, connection attempts not counted."""
        return [time for time, kind in self.towards_hit() if kind != SYN]

    def asked_of_survivor(self) -> list[float]:
        if self.wire is None:
            return sorted(each.time for each in self.received if each.cluster != HIT)
        return sorted(each.time for each in self.wire if each.port not in self.hit_ports and each.kind != SYN)

    def written_to_hit(self) -> set[str]:
        """Return the ids of the requests that were sent to the cluster in its fault."""
        return {
            each.identity
            for each in self.wire or ()
            if each.port in self.hit_ports
            and each.kind != SYN
            and any(each.time in fault for fault in self.faults)
        }
