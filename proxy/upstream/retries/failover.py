"""The failed attempts of a request, and its next endpoint. Exists only once an attempt has failed."""

from collections.abc import Sequence
from random import uniform
from typing import Final

from proxy.upstream.balancing.choice import Choice
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.evidence.retry_budget import RetryBudget
from proxy.upstream.retries.rules import LEFT_BEHIND, MAX_CLUSTERS, UNDELIVERED, RetryRules, Suppressed

FIRST_PAUSE_S: Final = 0.025  # longest pause before a third attempt in the second's cluster: Envoy's base
LONGEST_PAUSE_S: Final = 0.25  # longest pause before later attempts: Envoy's limit

_OLD_CONNECTION: Final = frozenset((Failure.STALE, Failure.UNSEEN))


class Failover:
    """The failed attempts of one request."""

    __slots__ = (
        "_clusters", "_owed", "_paid", "_rules", "attempts", "begun", "fresh", "pause_s", "seen",
        "suppressed", "trace", "tried",
    )  # fmt: skip

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self.attempts = 0  # failed so far
        self.begun = 1  # attempts in all, hedged connects included
        self.fresh = False  # a pooled connection failed us: the next attempt opens its own
        self.trace: list[tuple[str, str, str]] = []  # cluster, endpoint, reason of each failed attempt
        self.seen = 0  # failed attempts that an endpoint may have acted on
        self.pause_s = 0.0  # pause before the next attempt
        self.suppressed: Suppressed | None = None  # why there is no further attempt
        self.tried: list[LiveEndpoint] = []
        self._clusters: list[str] = []  # clusters whose endpoints may have acted on it
        self._paid: RetryBudget | None = None  # budget from which the next attempt was taken
        self._owed: RetryBudget | None = None  # gets this attempt back if it is answered

    def next(
        self, choice: Choice, endpoint: LiveEndpoint, failure: Failure, *, repeatable: bool, now: float
    ) -> LiveEndpoint | None:
        """Note that `endpoint` failed; return the endpoint to try next, None when the request ends here."""
        self._note(endpoint, failure)
        before, self.suppressed, self.pause_s = self.suppressed, None, 0.0
        self._paid = None
        if failure not in UNDELIVERED:
            self._was_seen(endpoint)
        spent = self.attempts if failure in UNDELIVERED else self.seen
        if not self._rules.may_retry(failure, repeatable=repeatable, attempts=spent):
            self.suppressed = self._rules.suppressed(failure, repeatable=repeatable) or before
            return None
        is_there = endpoint.state is not State.RETIRED  # else its address may be another pod's by now
        if failure in _OLD_CONNECTION and not self.fresh and is_there:
            self.fresh = True  # the connection was old, the endpoint need not be gone
            return endpoint if failure in UNDELIVERED else self._afforded(choice, endpoint, failure, now)
        self.tried.append(endpoint)
        stay = failure is not Failure.OVERFLOW
        # A machine that is gone may well be all of its cluster: no second attempt there
        attempts = max(self.attempts, 2) if failure is Failure.UNACKNOWLEDGED else self.attempts
        within = self.within()
        following = choice.following(self.tried, attempts=attempts, stay=stay, within=within)
        is_last = following is None or self.seen + 1 >= self._rules.attempts
        if failure is Failure.ABORTED and not self.fresh and is_last:
            self.fresh = True  # a healthy endpoint may reset idle connections, here and elsewhere
            if following is None and is_there:
                following = endpoint
        if following is None:
            beyond = within and choice.following(self.tried, attempts=attempts, stay=stay)
            self.suppressed = Suppressed.CLUSTERS if beyond else Suppressed.ENDPOINTS
            return None
        if failure in UNDELIVERED:
            return following
        self.pause_s = self._pause_s(following)
        return self._afforded(choice, following, failure, now)

    def instead(self, choice: Choice) -> LiveEndpoint | None:
        """Return another endpoint: that of the next attempt has left the service before it began."""
        return choice.following(self.tried, attempts=self.attempts, stay=True, within=self.within())

    def lost(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        """Note a connect that failed, or was outrun, beside another connect."""
        self.begun += 1
        self._note(endpoint, failure)
        self.tried.append(endpoint)

    def leave(
        self, choice: Choice, endpoint: LiveEndpoint, *, repeatable: bool, since: float, now: float
    ) -> LiveEndpoint | None:
        """Return where else to try a request that waits at an endpoint that has stalled, since `since`.

        Its cluster is tried again only if a peer there has answered meanwhile. None: the request goes on
        waiting, nothing has happened, and this may be called again.
        """
        if not self._rules.may_retry(Failure.STALLED, repeatable=repeatable, attempts=self.seen + 1):
            return None
        cluster = choice.cluster_of(endpoint)
        peers = cluster.live if cluster is not None else ()
        answers = any(peer.heard >= since for peer in peers if peer is not endpoint)
        tried = [*self.tried, endpoint]
        attempts = 1 if answers else 2
        following = choice.following(tried, attempts=attempts, stay=True, within=self.within())
        if following is None or not following.is_chosen():
            return None
        if self._afforded(choice, following, Failure.STALLED, now) is None:
            return None
        self._note(endpoint, Failure.STALLED)
        self._was_seen(endpoint)
        self.tried = tried
        return following

    def _was_seen(self, endpoint: LiveEndpoint) -> None:
        self.seen += 1
        if endpoint.cluster not in self._clusters:
            self._clusters.append(endpoint.cluster)

    def within(self, *also: str) -> Sequence[str]:
        """Return the clusters that may get the request, () for any; `also` are clusters that will see it."""
        clusters = [*self._clusters, *[cluster for cluster in also if cluster not in self._clusters]]
        return clusters if len(clusters) >= MAX_CLUSTERS else ()

    def _pause_s(self, following: LiveEndpoint) -> float:
        """Return how many seconds to wait before a repetition: 0 before the first, and in a fresh cluster.

        After two failed attempts in a row, a third attempt at once would probably fail, too. Times are drawn
        at random up to the limit, so that requests which failed together do not come back together.
        """
        if self.seen < 2 or following.cluster not in self._clusters:
            return 0.0
        return uniform(0.0, min(FIRST_PAUSE_S * 2.0 ** (self.seen - 2), LONGEST_PAUSE_S))

    def cancel(self) -> None:
        """The client has gone in the pause before the next attempt."""
        if self._paid is not None:
            self._paid.undo()
            self._paid = None

    def answered(self) -> None:
        """An endpoint has answered with a status that is no failure."""
        if self._owed is not None:
            self._owed.give_back()

    def _afforded(
        self, choice: Choice, following: LiveEndpoint, failure: Failure, now: float
    ) -> LiveEndpoint | None:
        """Take the attempt from the budget of the cluster that it goes to."""
        service, cluster = choice.service_of(following), choice.cluster_of(following)
        if service is None or cluster is None:
            self.suppressed = Suppressed.ENDPOINTS  # its cluster has just left the service
            return None
        moves = failure in LEFT_BEHIND
        elsewhere = service.offered_elsewhere(cluster) if moves else 0.0
        budget = cluster.retries
        if not budget.take(cluster.requests(), now, elsewhere):
            self.suppressed = Suppressed.BUDGET
            return None
        self._paid = budget
        self._owed = budget if moves else None
        return following

    def _note(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self.attempts += 1
        self.trace.append((endpoint.cluster, endpoint.label, failure.value))


def may_move(choice: Choice, following: LiveEndpoint, now: float) -> bool:
    """Whether the budget of its cluster has an attempt left for a request that leaves a dead endpoint."""
    service, cluster = choice.service_of(following), choice.cluster_of(following)
    if service is None or cluster is None:
        return False
    return cluster.retries.has_left(cluster.requests(), now, service.offered_elsewhere(cluster))
