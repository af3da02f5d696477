"""Outlier detection: failed attempts eject their endpoint, and probes let it in again."""

from proxy.upstream.detection.prober import Prober
from proxy.upstream.detection.shared_ejections import SharedEjections
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.service import Services


class OutlierDetection:
    """The outlier detection of a worker: requests tell it how their attempts ended."""

    __slots__ = ("_ejections", "_prober", "_services")

    def __init__(self, services: Services, prober: Prober, ejections: SharedEjections) -> None:
        self._services = services
        self._prober = prober
        self._ejections = ejections

    def reached(self, endpoint: LiveEndpoint) -> None:
        """An endpoint has answered that was unreachable: call this where `endpoint.succeeded()` says so."""
        cluster = self._services.cluster_of(endpoint)
        if cluster is not None:
            cluster.reached(endpoint, endpoint.heard)

    def failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        """An attempt has failed."""
        cluster = self._services.cluster_of(endpoint)
        if cluster is None:
            endpoint.failed(failure)
        else:
            self._see_to(endpoint, cluster.failed(endpoint, failure))

    def outrun(self, endpoint: LiveEndpoint) -> None:
        """A connect was not answered when a later one, elsewhere, was."""
        cluster = self._services.cluster_of(endpoint)
        if cluster is not None:
            self._see_to(endpoint, cluster.outrun(endpoint))

    def on_unreachable(self, endpoint: LiveEndpoint) -> None:
        """Connects to an ejected endpoint get no answer any more."""
        self._ejections.note(endpoint.ejection())
        self._prober.probe_after(endpoint, 0.0)  # a false alarm is over in a round trip

    def _see_to(self, endpoint: LiveEndpoint, ejected_s: float) -> None:
        if ejected_s:
            self._ejections.note(endpoint.ejection())
            self._prober.probe_after(endpoint, ejected_s)
