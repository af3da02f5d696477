"""The choice by a key: requests with the same key go to the same endpoint for as long as it can serve."""

from collections.abc import Sequence

from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.model.actions import HashKey, HashSource, SplitMode
from proxy.routing.lists import joined
from proxy.routing.parameters import CookieName, ParameterName
from proxy.upstream.algorithms.hashing import best, best_of_equals
from proxy.upstream.balancing.choice import BackendChoice, Choice
from proxy.upstream.balancing.split import PriorityLevel
from proxy.upstream.cluster_state import ClusterState
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.service import LiveService


class KeyReader:
    """Finds the key of a request."""

    __slots__ = ("_cookie", "_header", "_parameter", "_source", "_then")

    def __init__(self, key: HashKey) -> None:
        self._source = key.source
        self._header = key.name.encode()
        self._cookie = CookieName(key.name)
        self._parameter = ParameterName(key.name)
        self._then = [KeyReader(part) for part in key.then]

    def read(self, address: bytes, line: RequestLine, headers: RequestHeaders) -> bytes:
        """Return the key, b"" when the request has none. `address` is the client's."""
        part = self._part(address, line, headers)
        if not self._then:
            return part
        parts = [part, *[reader.read(address, line, headers) for reader in self._then]]
        return (
            b"\0".join(parts) if any(parts) else b""
        )  # which is in no part: "ab" and "c" are not "a" and "bc"

    def _part(self, address: bytes, line: RequestLine, headers: RequestHeaders) -> bytes:
        source = self._source
        if source is HashSource.CLIENT:
            return address
        if source is HashSource.URI:
            return line.resource.path + line.query
        if source is HashSource.PATH:
            return line.resource.path
        if source is HashSource.HOST:
            return headers.control.host
        if source is HashSource.HEADER:
            return joined(self._header, headers.values(self._header))
        if source is HashSource.QUERY:
            return next(iter(self._parameter.values(line.query)), b"")
        for field in headers.values(b"cookie"):
            for value in self._cookie.values(field):
                return value
        return b""


class KeyedChoice(Choice):
    """The choice for one request: endpoints in the order of their scores, by priority levels.

    Where every endpoint counts the same all endpoints are scored together, across clusters; where clusters
    have weights the cluster is found first. So an endpoint that leaves never moves another endpoint's keys.
    """

    __slots__ = ("_backend", "_key")

    def __init__(self, backend: BackendChoice, key: int) -> None:
        self.service = backend.service
        self._backend = backend
        self._key = key

    def first(self) -> LiveEndpoint | None:
        split = self._backend.serving()
        levels = split.priority_levels()
        return self._best(levels[0], split.mode, (), None) if levels else None

    def following(
        self, tried: list[LiveEndpoint], *, attempts: int, stay: bool, within: Sequence[str] = ()
    ) -> LiveEndpoint | None:
        failed = tried[-1]
        full = None if stay else failed.home
        for split, level in self._backend.priority_levels(failed.cluster):
            allowed = [item for item in level if not within or item[0].name in within]
            found = self._best(allowed, split.mode, tried, full)
            if found is not None:
                return found
        return None

    def beside(self, tried: list[LiveEndpoint], *, within: Sequence[str] = ()) -> LiveEndpoint | None:
        """The next endpoint in the key's order; after two that do not answer, one of another cluster."""
        found = self.following(tried, attempts=len(tried), stay=len(tried) < 2, within=within)
        return found if found is not None and found.is_chosen() else None

    def instead(self, suspect: LiveEndpoint, now: float) -> LiveEndpoint | None:
        return None  # a key moves when its endpoint fails, not on a suspicion

    def service_of(self, endpoint: LiveEndpoint) -> LiveService | None:
        return self._backend.service_of(endpoint)

    def beside_quiet(self, endpoint: LiveEndpoint) -> LiveEndpoint:
        return endpoint

    def _best(
        self, level: PriorityLevel, mode: SplitMode, tried: Sequence[LiveEndpoint], full: ClusterState | None
    ) -> LiveEndpoint | None:
        """Return the endpoint of a level with the highest score, leaving out a cluster that is `full`."""
        candidates: list[LiveEndpoint] = []
        clusters = [(cluster, weight) for cluster, weight in level if cluster.home is not full]
        if mode is SplitMode.ENDPOINTS:
            for cluster, _ in clusters:
                candidates += cluster.candidates(tried)
            return self._endpoint(candidates)
        while clusters and not candidates:
            at = best(
                self._key, [cluster.seed for cluster, _ in clusters], [weight for _, weight in clusters]
            )
            candidates = clusters.pop(at)[0].candidates(tried)
        return self._endpoint(candidates)

    def _endpoint(self, candidates: list[LiveEndpoint]) -> LiveEndpoint | None:
        if not candidates:
            return None
        seeds = [endpoint.seed() for endpoint in candidates]
        weight = candidates[0].weight
        if all(endpoint.weight == weight for endpoint in candidates):
            return candidates[best_of_equals(self._key, seeds)]
        return candidates[best(self._key, seeds, [endpoint.weight or 1 for endpoint in candidates])]
