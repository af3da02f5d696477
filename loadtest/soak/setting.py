"""A worker that serves on one core, with its backend on another."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.compare import backend, wrk
from loadtest.compare.figures import Result
from loadtest.compare.rows import Origin, Row, select
from loadtest.compare.runner import empty
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.site import Site, free_clusters
from loadtest.ports import free_ports

WARM, COLD, IDLE = select(["90B-32-warm", "90B-32-cold", "idle-warm"])


@dataclass(frozen=True, slots=True)
class Serving:
    """A worker under test; `pid` is its process."""

    site: Site
    pid: int
    load_core: int

    @property
    def port(self) -> int:
        return self.site.port

    def load(self, row: Row, seconds: int) -> Result:
        """Load the worker with wrk; empty its access log. Raises LoadError."""
        script = wrk.prepare(row, self.site.directory)
        seen = wrk.run(row, script, self.port, seconds, (self.load_core,))
        empty(self.site.access_log)
        return seen


@contextmanager
def serving(peer: Fleetgate, proxy_core: int, load_core: int) -> Iterator[Serving]:
    """Start backend and worker; both are stopped in the end. Raises StartError, Missing."""
    with tempfile.TemporaryDirectory(prefix="fleetgate-soak-") as directory:
        clusters = free_clusters()
        site = Site(Path(directory), free_ports(1)[0], clusters)
        with backend.started(Origin.FILES, site.backends, site.directory, (load_core,)):
            worker = peer.start(site, proxy_core)
            try:
                yield Serving(site, worker.pid, load_core)
            finally:
                worker.stop()
