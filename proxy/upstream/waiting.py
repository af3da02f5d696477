"""The requests that an endpoint is working on, as far as its streams tell."""

from proxy.upstream.connections.abandoned import LivenessRequest
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.kinds import Kind
from proxy.upstream.evidence.silence import Waiting


def waiting_at(endpoint: LiveEndpoint, now: float) -> list[Waiting]:
    """Return the requests that were sent completely and have had no byte of an answer."""
    found = []
    for stream in endpoint.pool.streams():
        if stream.is_waiting():
            kind = stream.awaits()
            if kind is not None:
                found.append(waiting_for(stream.since, kind, now))
    return found


def waiting_for(since: float, kind: Kind, now: float) -> Waiting:
    """Return the Waiting of a request of some kind that was sent at `since` (monotonic seconds)."""
    return Waiting(since, kind.usual_s(), kind.longest_s(now), kind.longest_s(now, few=1))


def busy_at(endpoint: LiveEndpoint, now: float) -> list[float]:
    """Return when the requests were sent that the endpoint may be working on, given-up ones included.

    Probes are left out: an endpoint answers a probe at once, or does not begin with it.
    """
    sent = [
        stream.since
        for stream in endpoint.pool.streams()
        if stream.exchange is not None and not isinstance(stream.exchange, LivenessRequest)
    ]
    return sent + endpoint.observed().given_up.still(now)
