"""Snapshots with any number of routes: hosts of a hundred paths each, every tenth with a header condition."""

from loadtest.kit import fleetgate
from loadtest.kit.site import HOST, PREFIX, WEIGHTS, Site
from proxy.model import snapshot as model
from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.conditions import HeaderCondition

PATHS_PER_HOST = 100
CONDITION_EVERY = 10


def snapshot(site: Site, count: int, version: int) -> model.Snapshot:
    """Return `count` routes, the first for HOST and PREFIX. No route is the same in the next version."""
    hosts = 1 + (count - 2) // PATHS_PER_HOST if count > 1 else 0
    services = [_service_of(number) for number in range(hosts)]
    base = fleetgate.snapshot(site)
    routes = (_route(site, 0, HOST, PREFIX, fleetgate.SERVICE, version), *_others(site, count - 1, version))
    return model.Snapshot(
        version=version,
        listeners=base.listeners,
        routes=routes,
        services=(*base.services, *(fleetgate.service(site, name) for name in services)),
        clusters=base.clusters,
    )


def _others(site: Site, count: int, version: int) -> list[model.Route]:
    return [
        _route(
            site,
            number,
            f"host-{(number - 1) // PATHS_PER_HOST}.example.com",
            f"/application/part-{(number - 1) % PATHS_PER_HOST}",
            _service_of((number - 1) // PATHS_PER_HOST),
            version,
        )
        for number in range(1, count + 1)
    ]


def _service_of(host: int) -> str:
    return f"shop/service-{host}:80"


def _route(site: Site, number: int, host: str, path: str, service: str, version: int) -> model.Route:
    conditions = (HeaderCondition("stage", (f"stage-{number}",)),)
    shares = tuple(Share(cluster, weight + version) for cluster, weight in WEIGHTS.items())
    return model.Route(
        f"shop/ingress-{number}/0/0",
        fleetgate.SOURCE,
        (site.port,),
        host,
        model.PathMatch(model.PathKind.PREFIX, path),
        Forward((Backend(service),), Split(SplitMode.WEIGHTS, shares)),
        conditions if number % CONDITION_EVERY == 1 else (),
    )
