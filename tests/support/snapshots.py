"""Small snapshots in one line."""

from proxy.model.actions import Backend, Forward, Share, Split, SplitMode
from proxy.model.conditions import Condition
from proxy.model.snapshot import (
    ClusterEndpoints,
    Endpoint,
    Listener,
    PathKind,
    PathMatch,
    Route,
    Service,
    Snapshot,
    Source,
)

Address = tuple[str, int]


def source(name: str = "ing") -> Source:
    return Source("Ingress", "demo", name)


def split(weights: dict[str, int] | None = None, clusters: tuple[str, ...] = ("c1", "c2")) -> Split:
    if weights is None:
        return Split(SplitMode.ENDPOINTS, tuple(Share(c) for c in clusters))
    return Split(SplitMode.WEIGHTS, tuple(Share(c, w) for c, w in weights.items()))


def service(clusters: dict[str, list[Address]], name: str = "demo/service1:80") -> Service:
    return Service(
        name,
        tuple(
            ClusterEndpoints(cluster, tuple(Endpoint(address, port) for address, port in addresses))
            for cluster, addresses in clusters.items()
        ),
    )


def route(
    port: int,
    path: str = "/",
    *,
    host: str = "",
    kind: PathKind = PathKind.PREFIX,
    weights: dict[str, int] | None = None,
    conditions: tuple[Condition, ...] = (),
    name: str = "ing",
    order: int = 10,
    priority: int = 0,
    created: str = "",
    to: str = "demo/service1:80",
) -> Route:
    return Route(
        id=f"demo/{name}{path}",
        source=source(name),
        ports=(port,),
        host=host,
        path=PathMatch(kind, path),
        action=Forward((Backend(to),), split(weights)),
        conditions=conditions,
        order=order,
        priority=priority,
        created=created,
    )


def snapshot(
    port: int,
    clusters: dict[str, list[Address]],
    *routes: Route,
    version: int = 1,
    address: str = "127.0.0.1",
) -> Snapshot:
    return Snapshot(
        version=version,
        listeners=(Listener(port, source(), address=address),),
        routes=routes or (route(port),),
        services=(service(clusters),),
    )
