"""What happens to endpoints, told to their clusters as the data plane does."""

from proxy.upstream.cluster import LiveCluster
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.service import Services


def cluster_of(services: Services, endpoint: LiveEndpoint) -> LiveCluster:
    cluster = services.cluster_of(endpoint)
    assert cluster is not None
    return cluster


def fail(services: Services, endpoint: LiveEndpoint, failure: Failure = Failure.REFUSED) -> float:
    """Have an attempt fail; return for how many seconds that ejects the endpoint."""
    return cluster_of(services, endpoint).failed(endpoint, failure)


def readmit(services: Services, endpoint: LiveEndpoint) -> None:
    """Have a half-open probe succeed."""
    cluster_of(services, endpoint).readmit(endpoint)
