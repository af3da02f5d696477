"""A service that gets thousands of endpoints at once gets them in steps: one turn of the loop for each."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from proxy.model.snapshot import ClusterEndpoints, Endpoint

STEP: Final = 1000
"""New endpoints in a step, at least: 35 ms in pure Python."""

MOST_STEPS: Final = 8
"""Most steps of one change. Each looks at all endpoints: with more of them the looks would cost most."""

Clusters = tuple[ClusterEndpoints, ...]


def steps(old: Clusters, new: Clusters) -> Iterator[Clusters]:
    """Return the steps from `old` to `new`: first endpoints come, some more with each step.

    Only the last step is `new` itself: nothing leaves before everything has come.
    """
    if sum([len(each.endpoints) for each in new]) > STEP:
        yield from _growing(old, new)
    yield new


def _growing(old: Clusters, new: Clusters) -> Iterator[Clusters]:
    grown = {each.cluster: each for each in old}
    fresh = [(each, _fresh(grown.get(each.cluster), each)) for each in new]
    size = max(STEP, sum([len(endpoints) for _, endpoints in fresh]) // MOST_STEPS)
    for described, endpoints in fresh:
        cluster = described.cluster
        for start in range(0, len(endpoints), size):
            before = grown[cluster].endpoints if cluster in grown else ()
            grown[cluster] = replace(described, endpoints=before + endpoints[start : start + size])
            yield tuple(grown.values())


def _fresh(old: ClusterEndpoints | None, new: ClusterEndpoints) -> tuple[Endpoint, ...]:
    if old is None:
        return new.endpoints
    known = {(endpoint.address, endpoint.port) for endpoint in old.endpoints}
    return tuple([each for each in new.endpoints if (each.address, each.port) not in known])
