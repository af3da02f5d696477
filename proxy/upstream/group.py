"""The endpoints of one service in one cluster, by what they can do, and the choice of one of them."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from random import randrange
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.model.channel import BreakerStats
from proxy.model.snapshot import Endpoint
from proxy.routing.shares import NONE, Usable, capacity
from proxy.upstream.balancing.hashing import opaque_id, seed_of
from proxy.upstream.balancing.turns import Turns, turns
from proxy.upstream.connections.room import Room
from proxy.upstream.endpoint import LONG_AGO, LiveEndpoint
from proxy.upstream.health.breaker import SHORT_S, STEPS, ClusterBreaker, Phase
from proxy.upstream.health.healing import Healing

if TYPE_CHECKING:
    from proxy.upstream.connections.connection import UpstreamConnection
    from proxy.upstream.service import LiveService

PROBES_PER_S: Final = 50  # of the silent endpoints of a cluster that nobody serves in
SHORTEST_SILENCE_S: Final = 0.25  # between two probes of one of them; each takes a second to fail
LONGEST_SILENCE_S: Final = 10.0


class ClusterGroup:
    """The endpoints of one service in one cluster."""

    __slots__ = (
        "_is_pausing", "_next", "are_pods", "breaker", "cluster", "ejected", "endpoints", "healing",
        "live", "newest", "reserve", "room", "seed", "service", "turns", "usable",
    )  # fmt: skip

    def __init__(self, service: "LiveService", cluster: str, room: Room, *, are_pods: bool = True) -> None:
        self.service = service
        self.are_pods = are_pods
        self.room = room
        self.cluster = cluster
        self.seed = seed_of(opaque_id(cluster))  # what it is hashed by
        self.endpoints: dict[tuple[str, int], LiveEndpoint] = {}
        self.live: list[LiveEndpoint] = []  # ready, breaker closed, no failing checks
        self.reserve: list[LiveEndpoint] = []  # the same, but terminating or without a weight
        self.ejected: list[LiveEndpoint] = []  # breaker open, or failing their checks; none that is silent
        self.usable = NONE
        self.breaker = ClusterBreaker()
        self.healing = Healing()
        self.newest = LONG_AGO  # when one came that was not there from the start
        self._next = 0
        self._is_pausing = False  # it serves no more, which is no failure yet
        self.turns: Turns | None = None  # of `live`, when their weights differ

    def __repr__(self) -> str:
        return f"<{self.service.id} in {self.cluster}: {len(self.live)} of {len(self.endpoints)} live>"

    def set_endpoints(self, wanted: Iterable[Endpoint], since: float = LONG_AGO) -> None:
        """Take over what the control plane says; what is new has been there `since` (monotonic)."""
        gone = self.endpoints
        self.endpoints = {}
        for endpoint in wanted:
            key = (endpoint.address, endpoint.port)
            known = gone.pop(key, None)
            if known is None:
                known = LiveEndpoint(self, endpoint, since)
                self.newest = max(self.newest, since)
            else:
                known.update(endpoint)
            self.endpoints[key] = known
        for left in gone.values():
            left.retire()
            self.breaker.suspects.discard(left)
        self.refresh()

    def refresh(self) -> None:
        """Sort the endpoints by what they can do now; plans of this service notice by its epoch."""
        serving = [e for e in self.endpoints.values() if e.serves()]
        self.live = [e for e in serving if e.weight and not e.draining]
        self.reserve = [e for e in serving if e.draining or not e.weight]
        self.ejected = [e for e in self.endpoints.values() if not e.serves() and not e.is_silent]
        breaker, now = self.breaker, monotonic()
        breaker.look(set(serving), set(self.endpoints.values()), self._pausing(now), now)
        if breaker.is_open:  # what serves is still the better last resort
            self.live, self.reserve, self.ejected = [], [], serving or self.ejected
        paused = [e for e in self.ejected if _has_just_stalled(e, now)]
        self.ejected = paused or self.ejected
        self._heal(now)
        self._note_presence(now)
        self.usable = Usable(
            _weight(self.live),
            _weight(self.reserve),
            _weight(self.ejected),
            pauses=bool(paused),
            level=breaker.level / STEPS,
            capacity=self.healing.part,
            parts=self._parts(now),
        )
        if self._is_on_its_way():
            self.service.recovery.add(self)
        self.turns = turns(self.live)
        self.service.epoch += 1

    def _heal(self, now: float) -> None:
        if self.live:
            expected = sum([e.weight for e in self.endpoints.values() if not e.draining])
            self.healing.aim(capacity(_weight(self.live), expected), now)
            self.healing.rise(now)
        else:
            self.healing.reset()

    def _note_presence(self, now: float) -> None:
        """Remember since when it serves, if it did not."""
        service, before = self.service, self.usable
        was_pausing, self._is_pausing = self._is_pausing, False
        if self.live:
            if service.back.get(self.cluster) == inf:
                service.back[self.cluster] = now
        elif (before.live or was_pausing) and self._pausing(now):
            self._is_pausing = True
        elif self.endpoints or before.live:
            service.back[self.cluster] = inf
            if before.live or was_pausing:
                service.failbacks.left(service.id, self.cluster)

    def _pausing(self, now: float) -> set[LiveEndpoint]:
        return {endpoint for endpoint in self.endpoints.values() if _has_just_stalled(endpoint, now)}

    def _parts(self, now: float) -> Mapping[str, float]:
        service = self.service
        return service.failbacks.parts(
            service.id, self.cluster, service.back.get(self.cluster, LONG_AGO), now
        )

    def _is_on_its_way(self) -> bool:
        """Whether more of its share comes back with time."""
        if self.breaker.phase is not Phase.CLOSED or self.healing.is_rising:
            return True
        if self._is_pausing or self.usable.pauses:
            return True
        parts, service = self.usable.parts, self.service
        return bool(parts) and service.failbacks.moves(service.id, self.cluster, parts)

    def tripped(self, endpoint: LiveEndpoint) -> None:
        """The breaker of an endpoint has opened."""
        now = monotonic()
        self.breaker.tripped(endpoint, len(self.endpoints), self._pausing(now), now)
        self.refresh()

    def silence_s(self) -> float:
        """Return how long a silent endpoint is left alone: not long where requests fail until it is back."""
        if self.live or self.reserve or self.ejected:
            return LONGEST_SILENCE_S
        return min(max(SHORTEST_SILENCE_S, len(self.endpoints) / PROBES_PER_S), LONGEST_SILENCE_S)

    def recover(self) -> bool:
        """Go on if it is time; return whether there is more to come."""
        breaker, healing, now = self.breaker, self.healing, monotonic()
        before = breaker.phase, breaker.level, healing.part
        known = set(self.endpoints.values())
        breaker.look({e for e in known if e.serves()}, known, self._pausing(now), now)
        healing.rise(now)
        changed = before != (breaker.phase, breaker.level, healing.part)
        is_due = (self._is_pausing or self.usable.pauses) and not self._pausing(now)
        if changed or is_due or self._parts(now) != self.usable.parts:
            self.refresh()
        # Without endpoints there is nothing to come back: `refresh` begins anew when there are some
        return bool(self.endpoints) and self._is_on_its_way()

    def stats(self) -> BreakerStats:
        """Return what there is to know of its breaker."""
        breaker = self.breaker
        level = 0.0 if breaker.is_open else breaker.level / STEPS
        return BreakerStats(self.service.id, self.cluster, breaker.phase.value, level, breaker.flaps)

    def all(self) -> list[LiveEndpoint]:
        return list(self.endpoints.values())

    def offered_elsewhere(self) -> float:
        """Return how many requests the other clusters were offered lately: this one may inherit them."""
        groups = self.service.groups.values()
        return sum([group.room.retries.offered for group in groups if group is not self])

    def spare(self) -> "UpstreamConnection | None":
        """Return an idle connection to any endpoint, None when there is none."""
        for endpoint in self.live or self.reserve:
            connection = endpoint.checkout()
            if connection is not None:
                return connection
        return None

    def candidates(self, tried: Sequence[LiveEndpoint]) -> list[LiveEndpoint]:
        """Return the endpoints that can do most, without those in `tried`."""
        candidates = self.live or self.reserve or self.ejected
        return [e for e in candidates if e not in tried] if tried else candidates

    def step(self, count: int) -> int:
        """Return whose turn it is, of so many."""
        self._next = (self._next + 1) % count
        return self._next

    def pick(self, tried: Sequence[LiveEndpoint] = ()) -> LiveEndpoint | None:
        """Return the endpoint for the next attempt: power of two choices by requests in flight.

        The first choice goes round, so equally busy endpoints take turns; those of different weights
        only take turns. Endpoints in `tried` are avoided. The reserve serves when no other is left,
        ejected ones when not even that is.
        """
        if self.turns is not None and not tried:
            return self.turns.next()
        candidates = self.candidates(tried)
        count = len(candidates)
        if count < 2:
            return candidates[0] if count else None
        first = self.step(count)
        one = candidates[first]
        if not one.in_flight:
            return one
        second = (first + 1) % count if count == 2 else (first + randrange(1, count)) % count
        other = candidates[second]
        return other if other.in_flight < one.in_flight else one


def _has_just_stalled(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether it may only pause: a garbage collection of a program is over in less time."""
    return endpoint.must_answer and now - endpoint.stalled_at < SHORT_S


def _weight(endpoints: list[LiveEndpoint]) -> int:
    return sum([endpoint.weight or 1 for endpoint in endpoints])
