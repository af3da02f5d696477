"""A measured worker with hostile and honest endpoints: routes for every kind of answer."""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.hostile.worker import SECONDS, shared
from loadtest.kit.fleetgate import SERVICE, SOURCE, Fleetgate, Worker, listener, service
from loadtest.kit.processes import Started, module, own_environment
from loadtest.kit.site import HOST, WEIGHTS, Site, free_clusters
from loadtest.ports import free_ports
from proxy.model import snapshot as model
from proxy.model.actions import Action, Backend, FixedResponse, Forward, Redirect, Share, Split, SplitMode
from proxy.model.channel import Apply, encode
from proxy.model.policies import Access, Policies, RateLimit

PROGRAM = Path(__file__).with_name("worker.py")
HOSTILE = "web-demo/hostile:80"
NOBODY = model.Service("web-demo/nobody:80", ())


@dataclass(frozen=True, slots=True)
class Measured:
    """A worker under test."""

    site: Site
    worker: Worker
    longest: mmap.mmap

    def take_longest_turn_s(self) -> float:
        """Return the CPU time of the longest turn since the last call."""
        seconds = float(SECONDS.unpack_from(self.longest)[0])
        SECONDS.pack_into(self.longest, 0, 0.0)
        return seconds


@contextmanager
def measured(peer: Fleetgate, proxy_core: int, load_core: int, *, gzip: bool = False) -> Iterator[Measured]:
    """Start endpoints and worker; both are stopped in the end. Raises StartError, Missing."""
    with tempfile.TemporaryDirectory(prefix="fleetgate-hostile-") as name:
        site = Site(Path(name), free_ports(1)[0], free_clusters())
        hostile = free_ports(1)[0]
        turns = site.directory / "turns"
        with _origin(site, site.backends, load_core), _origin(site, [hostile], load_core, "--nice"):
            worker = Worker(peer, site, proxy_core, 0, (str(PROGRAM), str(turns)))
            try:
                worker.apply(encode(Apply(snapshot(site, hostile, gzip=gzip))))
                worker.process.wait_for_port(site.port)
                yield Measured(site, worker, shared(turns))
            finally:
                worker.stop()


@contextmanager
def _origin(site: Site, ports: list[int], core: int, *options: str) -> Iterator[None]:
    """Run endpoints, each of them honest and hostile, in a process of their own."""
    command = module("loadtest.hostile.origin", *options, *map(str, ports))
    origin = Started(command, site.directory, (core,), environment=own_environment())
    try:
        for port in ports:
            origin.wait_for_port(port)
        yield
    finally:
        origin.stop()


def snapshot(site: Site, hostile: int, *, gzip: bool) -> model.Snapshot:
    """Return the routes; `hostile` is the port of the endpoint for /up."""
    split = Split(SplitMode.WEIGHTS, tuple(Share(cluster, weight) for cluster, weight in WEIGHTS.items()))
    forward = Forward((Backend(SERVICE),), split)
    fixed = FixedResponse(200, "A fixed answer.")
    there = model.ClusterEndpoints("cluster-1", (model.Endpoint("127.0.0.1", hostile),))
    limit = RateLimit(1, FixedResponse(429, "Too many requests."), per_s=3600)
    return model.Snapshot(
        version=1,
        listeners=(_listener(site, gzip=gzip),),
        routes=(
            _route(site, "/svc1", forward),
            _route(site, "/up", Forward((Backend(HOSTILE),), split), Policies(response_timeout_s=0.0)),
            _route(site, "/403", forward, Policies(access=Access(deny=("127.0.0.0/8",)))),
            _route(site, "/redirect", Redirect(301, path="/elsewhere")),
            _route(site, "/fixed", fixed),
            _route(site, "/429", forward, Policies(rate_limits=(limit,))),
            _route(site, "/503", Forward((Backend(NOBODY.id),), split)),
        ),
        services=(service(site, SERVICE), model.Service(HOSTILE, (there,)), NOBODY),
        clusters=tuple(model.Cluster(cluster) for cluster in WEIGHTS),
    )


def _listener(site: Site, *, gzip: bool) -> model.Listener:
    plain = listener(site)
    return model.Listener(
        plain.port, plain.source, address=plain.address, idle_timeout_s=plain.idle_timeout_s, gzip=gzip
    )


def _route(site: Site, path: str, action: Action, policies: Policies | None = None) -> model.Route:
    match = model.PathMatch(model.PathKind.PREFIX, path)
    return model.Route(path, SOURCE, (site.port,), HOST, match, action, policies=policies)
