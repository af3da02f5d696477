"""fleetgate with its defaults: the drill sets no option except the deadline that all proxies have."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.drills.site import CLUSTERS, DEADLINE_S, LOOPBACK, SURVIVOR, Site
from loadtest.kit import fleetgate as compared
from loadtest.kit.site import HOST, IDLE_TIMEOUT_S, PREFIX
from proxy.model import snapshot as model
from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.channel import Apply, encode
from proxy.model.statistics import Stats


class Worker:
    """A worker, with this program as its control plane."""

    def __init__(self, build: compared.Fleetgate, site: Site, core: int) -> None:
        self._site = site
        self._worker = compared.Worker(build, site, core, 0)
        self._worker.apply(encode(Apply(_snapshot(site))))
        self._worker.process.wait_for_port(site.port)

    @property
    def pid(self) -> int:
        return self._worker.pid

    def remove(self) -> None:
        self._worker.change_endpoints((_service(self._site, (SURVIVOR,)),))

    def restore(self) -> None:
        self._worker.change_endpoints((_service(self._site, CLUSTERS),))

    def stats(self) -> Stats:
        return self._worker.stats()

    def stop(self) -> None:
        self._worker.stop()


@dataclass(frozen=True, slots=True)
class Fleetgate:
    build: compared.Fleetgate

    @property
    def name(self) -> str:
        return self.build.name

    def version(self) -> str:
        return self.build.version()

    def start(self, site: Site, core: int) -> Worker:
        return Worker(self.build, site, core)


def _snapshot(site: Site) -> model.Snapshot:
    shares = tuple(Share(cluster, 50) for cluster in CLUSTERS)
    action = Forward((Backend(compared.SERVICE),), Split(SplitMode.WEIGHTS, shares))
    path = model.PathMatch(model.PathKind.PREFIX, PREFIX)
    listener = model.Listener(
        site.port,
        compared.SOURCE,
        address=LOOPBACK,
        idle_timeout_s=IDLE_TIMEOUT_S,
        response_timeout_s=DEADLINE_S,
    )
    return model.Snapshot(
        version=1,
        listeners=(listener,),
        routes=(model.Route("drill", compared.SOURCE, (site.port,), HOST, path, action),),
        services=(_service(site, CLUSTERS),),
        clusters=tuple(model.Cluster(cluster) for cluster in CLUSTERS),
    )


def _service(site: Site, clusters: Sequence[str]) -> model.Service:
    endpoints = tuple(
        model.ClusterEndpoints(cluster, tuple(model.Endpoint(*where) for where in site.endpoints(cluster)))
        for cluster in clusters
    )
    return model.Service(compared.SERVICE, endpoints)
