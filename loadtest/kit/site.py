"""The site of every proxy: two clusters of two endpoints, a header rule, weights 20/80."""

from dataclasses import dataclass
from pathlib import Path

from loadtest.kit.certificate import KeyPair
from loadtest.ports import free_ports

HOST = "alb.ingress.alibaba.com"
PREFIX = "/svc1"
WEIGHTS = {"cluster-1": 20, "cluster-2": 80}
GRAY = ("stage", "gray")
"""The header, and its value, that sends a request to cluster-2; cluster-1 stands by."""
TRIES = 3
IDLE_TIMEOUT_S = 600
"""Idle timeout of every proxy: longer than a row, so that no connection of the load is closed as idle."""


@dataclass(frozen=True, slots=True)
class Site:
    """One proxy's surroundings. `directory` is its own: configuration and access log."""

    directory: Path
    port: int
    clusters: dict[str, tuple[int, int]]
    tls: KeyPair | None = None  # the proxy takes HTTPS with it; None: HTTP
    http2: bool = False  # the proxy takes HTTP/2: by ALPN with TLS, by prior knowledge without

    @property
    def access_log(self) -> Path:
        return self.directory / "access.log"

    @property
    def backends(self) -> list[int]:
        return [port for pair in self.clusters.values() for port in pair]


def free_clusters() -> dict[str, tuple[int, int]]:
    """Return two free ports for each cluster."""
    ports = free_ports(2 * len(WEIGHTS))
    return {name: (ports[2 * i], ports[2 * i + 1]) for i, name in enumerate(WEIGHTS)}
