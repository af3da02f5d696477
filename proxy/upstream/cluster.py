"""The endpoints of one service in one cluster, by their abilities, and the choice of one of them."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from random import randrange
from typing import Final

from proxy.model.snapshot import Endpoint
from proxy.model.statistics import BreakerStats
from proxy.routing.shares import NONE, Usable, capacity
from proxy.upstream.algorithms.hashing import opaque_id, seed_of
from proxy.upstream.algorithms.weighted import WeightedRoundRobin, weighted_round_robin
from proxy.upstream.cluster_state import ClusterState
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.endpoint import LONG_AGO, LiveEndpoint
from proxy.upstream.evidence.breaker import SHORT_S, STEPS, Phase
from proxy.upstream.evidence.failback import Failbacks
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.ramp import Ramp
from proxy.upstream.evidence.retry_budget import RetryBudget
from proxy.upstream.recovery import Recovering, Recovery

PROBES_PER_S: Final = 50  # probes of all unreachable endpoints of a cluster in which no endpoint serves
SHORTEST_PROBE_GAP_S: Final = 0.25  # time between two probes of one of them; each takes a second to fail
LONGEST_PROBE_GAP_S: Final = 10.0


class ServiceState:
    """State that the clusters of one service share. `epoch` changes with the usable endpoints of any."""

    __slots__ = ("back", "epoch", "failbacks", "id", "recovery")

    def __init__(self, service_id: str, recovery: Recovery, failbacks: Failbacks) -> None:
        self.id = service_id
        self.recovery = recovery
        self.failbacks = failbacks
        self.back: dict[str, float] = {}  # since when clusters serve again, monotonic; inf: they do not serve
        self.epoch = 1


class LiveCluster(Recovering):
    """The endpoints of one service in one cluster.

    Events of an endpoint are told to its cluster, which hands them to the endpoint and then finds out their
    consequences for balancing.
    """

    __slots__ = (
        "_is_stalling", "_next", "_service", "breaker", "ejected", "endpoints", "home", "live", "name",
        "newest", "ramp", "reserve", "retries", "seed", "usable", "weighted",
    )  # fmt: skip

    def __init__(self, service: ServiceState, home: ClusterState) -> None:
        self._service = service
        self.home = home
        self.name = home.cluster
        self.seed = seed_of(opaque_id(home.cluster))  # by which rendezvous hashing scores the cluster
        self.endpoints: dict[tuple[str, int], LiveEndpoint] = {}
        self.live: list[LiveEndpoint] = []  # ready, breaker closed, no failing checks
        self.reserve: list[LiveEndpoint] = []  # the same, but terminating or without a weight
        self.ejected: list[LiveEndpoint] = []  # breaker open, or failing their checks; no unreachable one
        self.usable = NONE
        self.breaker = home.breaker
        self.ramp = Ramp()
        self.retries = RetryBudget()
        self.newest = LONG_AGO  # when the last endpoint came that was not there from the start
        self._next = 0
        self._is_stalling = False  # transient stalls, no failure yet, keep the cluster from serving
        self.weighted: WeightedRoundRobin | None = None  # of `live`, when their weights differ

    def __repr__(self) -> str:
        return f"<{self.home.service} in {self.name}: {len(self.live)} of {len(self.endpoints)} live>"

    def set_endpoints(self, wanted: Iterable[Endpoint], since: float = LONG_AGO) -> None:
        """Take over the endpoints of a snapshot; new ones have been there `since` (monotonic)."""
        gone = self.endpoints
        self.endpoints = {}
        for endpoint in wanted:
            key = (endpoint.address, endpoint.port)
            known = gone.pop(key, None)
            if known is None:
                known = LiveEndpoint(self.home, endpoint, since)
                self.newest = max(self.newest, since)
            else:
                known.update(endpoint)
            self.endpoints[key] = known
        for left in gone.values():
            left.retire()
            self.breaker.suspects.discard(left)
        self.refresh()

    # Events of an endpoint

    def succeeded(self, endpoint: LiveEndpoint) -> None:
        """An endpoint answered a request."""
        if endpoint.succeeded():
            self.reached(endpoint, endpoint.heard)

    def failed(self, endpoint: LiveEndpoint, failure: Failure) -> float:
        """An attempt failed; return for how many seconds that ejects the endpoint, 0 for not at all."""
        return self._ejected(endpoint) if endpoint.failed(failure) else 0.0

    def outrun(self, endpoint: LiveEndpoint) -> float:
        """A connect was not answered when a later one was; return as `failed` does."""
        return self._ejected(endpoint) if endpoint.outrun() else 0.0

    def reached(self, endpoint: LiveEndpoint, now: float) -> None:
        """A connect was answered."""
        if endpoint.reached(now):
            self.refresh()

    def responded(self, endpoint: LiveEndpoint, now: float) -> None:
        """An endpoint gave a sign of life, if only a refusal."""
        if endpoint.responded(now):
            self.refresh()

    def unanswered(self, endpoint: LiveEndpoint, started: float) -> bool:
        """A connect begun at `started` got no answer; return whether the endpoint is unreachable by that."""
        is_new = endpoint.unanswered(started)
        if is_new:
            self.refresh()
        return is_new

    def be_unreachable(self, endpoint: LiveEndpoint) -> None:
        """Another worker has found an ejected endpoint unreachable."""
        endpoint.be_unreachable()
        self.refresh()

    def stall(self, endpoint: LiveEndpoint, now: float) -> None:
        """An endpoint answers nothing any more."""
        endpoint.stall(now)
        self._tripped(endpoint)

    def revive(self, endpoint: LiveEndpoint) -> None:
        """A stalled endpoint has answered after all."""
        endpoint.revive()
        self.refresh()

    def give_up(self, endpoint: LiveEndpoint) -> float:
        """Nothing will come of waiting for an answer; return for how many seconds the endpoint is ejected."""
        endpoint.give_up()
        return self._ejected(endpoint)

    def longer_ejection(self, endpoint: LiveEndpoint) -> float:
        """A probe failed; return for how many seconds more the endpoint is ejected."""
        seconds = endpoint.longer_ejection()
        return min(seconds, self._probe_gap_s()) if endpoint.is_unreachable else seconds

    def readmit(self, endpoint: LiveEndpoint) -> None:
        """A probe succeeded."""
        if endpoint.readmit():
            self.refresh()

    def _ejected(self, endpoint: LiveEndpoint) -> float:
        self._tripped(endpoint)
        return self.longer_ejection(endpoint)

    def _tripped(self, endpoint: LiveEndpoint) -> None:
        now = self.home.clock.now()
        self.breaker.tripped(endpoint, len(self.endpoints), self._stalling(now), now)
        self.refresh()

    def _probe_gap_s(self) -> float:
        """Return how long an unreachable endpoint is left alone: not long where requests fail meanwhile."""
        if self.live or self.reserve or self.ejected:
            return LONGEST_PROBE_GAP_S
        return min(max(SHORTEST_PROBE_GAP_S, len(self.endpoints) / PROBES_PER_S), LONGEST_PROBE_GAP_S)

    # Abilities of the cluster

    def refresh(self) -> None:
        """Sort the endpoints by their present abilities; plans of this service notice by its epoch."""
        serving = [e for e in self.endpoints.values() if e.serves()]
        self.live = [e for e in serving if e.weight and not e.draining]
        self.reserve = [e for e in serving if e.draining or not e.weight]
        self.ejected = [e for e in self.endpoints.values() if not e.serves() and not e.is_unreachable]
        breaker, now = self.breaker, self.home.clock.now()
        breaker.look(set(serving), set(self.endpoints.values()), self._stalling(now), now)
        if breaker.is_open:  # in panic, endpoints that serve are the better choice
            self.live, self.reserve, self.ejected = [], [], serving or self.ejected
        stalling = [e for e in self.ejected if _has_just_stalled(e, now)]
        self.ejected = stalling or self.ejected
        self._ramp_up(now)
        self._note_presence(now)
        self.usable = Usable(
            _weight(self.live),
            _weight(self.reserve),
            _weight(self.ejected),
            pauses=bool(stalling),
            ramp=breaker.step / STEPS,
            capacity=self.ramp.part,
            parts=self._parts(now),
        )
        if self._is_on_its_way():
            self._service.recovery.add(self)
        self.weighted = weighted_round_robin([e.weight for e in self.live])
        self._service.epoch += 1

    def _ramp_up(self, now: float) -> None:
        if self.live:
            expected = sum([e.weight for e in self.endpoints.values() if not e.draining])
            self.ramp.aim(capacity(_weight(self.live), expected), now)
            self.ramp.rise(now)
        else:
            self.ramp.reset()

    def _note_presence(self, now: float) -> None:
        """Remember since when the cluster serves, if it did not."""
        service, before = self._service, self.usable
        was_stalling, self._is_stalling = self._is_stalling, False
        if self.live:
            if service.back.get(self.name) == inf:
                service.back[self.name] = now
        elif (before.live or was_stalling) and self._stalling(now):
            self._is_stalling = True
        elif self.endpoints or before.live:
            service.back[self.name] = inf
            if before.live or was_stalling:
                service.failbacks.left(service.id, self.name)

    def _stalling(self, now: float) -> set[LiveEndpoint]:
        return {endpoint for endpoint in self.endpoints.values() if _has_just_stalled(endpoint, now)}

    def _parts(self, now: float) -> Mapping[str, float]:
        service = self._service
        return service.failbacks.parts(service.id, self.name, service.back.get(self.name, LONG_AGO), now)

    def _is_on_its_way(self) -> bool:
        """Whether more of its share comes back with time."""
        if self.breaker.phase is not Phase.CLOSED or self.ramp.is_rising:
            return True
        if self._is_stalling or self.usable.pauses:
            return True
        parts, service = self.usable.parts, self._service
        return bool(parts) and service.failbacks.moves(service.id, self.name, parts)

    def recover(self) -> bool:
        breaker, ramp, now = self.breaker, self.ramp, self.home.clock.now()
        before = breaker.phase, breaker.step, ramp.part
        known = set(self.endpoints.values())
        breaker.look({e for e in known if e.serves()}, known, self._stalling(now), now)
        ramp.rise(now)
        changed = before != (breaker.phase, breaker.step, ramp.part)
        is_due = (self._is_stalling or self.usable.pauses) and not self._stalling(now)
        if changed or is_due or self._parts(now) != self.usable.parts:
            self.refresh()
        # Without endpoints nothing can come back: `refresh` begins anew when there are some
        return bool(self.endpoints) and self._is_on_its_way()

    def open_breaker(self) -> BreakerStats | None:
        breaker = self.breaker
        if breaker.phase is Phase.CLOSED:
            return None
        ramp = 0.0 if breaker.is_open else breaker.step / STEPS
        return BreakerStats(self.home.service, self.name, breaker.phase.value, ramp, breaker.flaps)

    # Requests

    def requests(self) -> list[int]:
        """Return how many attempts each endpoint has had."""
        return [endpoint.requests for endpoint in self.endpoints.values()]

    def spare(self) -> UpstreamStream | None:
        """Return a stream over an open connection to any endpoint, None when no connection is free."""
        for endpoint in self.live or self.reserve:
            stream = endpoint.pool.checkout()
            if stream is not None:
                return stream
        return None

    def candidates(self, tried: Sequence[LiveEndpoint]) -> list[LiveEndpoint]:
        """Return the endpoints that can do most, without those in `tried`."""
        candidates = self.live or self.reserve or self.ejected
        return [e for e in candidates if e not in tried] if tried else candidates

    def step(self, count: int) -> int:
        """Return the index of the candidate whose turn it is, of `count`."""
        self._next = (self._next + 1) % count
        return self._next

    def pick(self, tried: Sequence[LiveEndpoint] = ()) -> LiveEndpoint | None:
        """Return the endpoint for the next attempt: power of two choices by requests in flight.

        The first choice goes round, so equally busy endpoints take turns; those of different weights
        only take turns. Endpoints in `tried` are avoided. The reserve serves when no other is left, and
        ejected endpoints serve when there is no reserve either.
        """
        if self.weighted is not None and not tried:
            return self.live[self.weighted.next()]
        candidates = self.candidates(tried) if tried or not self.live else self.live
        count = len(candidates)
        if count < 2:
            return candidates[0] if count else None
        first = self._next = (self._next + 1) % count
        one = candidates[first]
        if not one.in_flight:
            return one
        second = (first + 1) % count if count == 2 else (first + randrange(1, count)) % count
        other = candidates[second]
        return other if other.in_flight < one.in_flight else one


def _has_just_stalled(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether an endpoint may have a transient stall: a garbage collection of a program takes less time."""
    return endpoint.must_answer and now - endpoint.stalled_at < SHORT_S


def _weight(endpoints: list[LiveEndpoint]) -> int:
    return sum([endpoint.weight or 1 for endpoint in endpoints])
