"""The site of every proxy in a drill: two clusters of two endpoints that share the requests evenly."""

from dataclasses import dataclass, field
from pathlib import Path

from loadtest.kit import site as compared
from loadtest.ports import free_port

HIT = "cluster-2"
SURVIVOR = "cluster-1"
CLUSTERS = (SURVIVOR, HIT)
LOOPBACK = "127.0.0.1"
DEADLINE_S = 3
"""Deadline of a whole request in seconds, for every proxy."""
TRY_S = 1
"""Seconds for a connect, and for one try of a request where a proxy has such a timeout."""
TRIES = compared.TRIES


@dataclass(frozen=True, slots=True)
class Site(compared.Site):
    """One proxy's surroundings; `hosts` are the addresses of the clusters."""

    hosts: dict[str, str] = field(default_factory=dict)

    def endpoints(self, cluster: str) -> list[tuple[str, int]]:
        return [(self.hosts[cluster], port) for port in self.clusters[cluster]]


def new(directory: Path, hit_address: str, *, http2: bool = False) -> Site:
    """Return a site with free ports, whose cluster-2 has the given address."""
    clusters = compared.free_clusters()
    hosts = {SURVIVOR: LOOPBACK, HIT: hit_address}
    return Site(directory, free_port(), clusters, http2=http2, hosts=hosts)
