"""What both proxies of the comparison are given: two clusters, a header rule, weights 20/80."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from proxy.model import snapshot as model

HOST = "alb.ingress.alibaba.com"
BODY = "This is env cluster1 ! Config file is ".ljust(90, ".")
WEIGHTS = {"cluster-1": 20, "cluster-2": 80}
SERVICE = "web-demo/service1:80"
SOURCE = model.Source("Ingress", "web-demo", "web-demo")


@dataclass(frozen=True, slots=True)
class Ports:
    """Backend ports by cluster, and the ports of the two proxies."""

    clusters: dict[str, tuple[int, int]]
    fleetgate: int
    nginx: int

    @property
    def backends(self) -> list[int]:
        return [port for pair in self.clusters.values() for port in pair]


def free_ports() -> Ports:
    """Return ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(6)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        a, b, c, d, fleetgate, nginx = (each.getsockname()[1] for each in sockets)
    return Ports({"cluster-1": (a, b), "cluster-2": (c, d)}, fleetgate, nginx)


def snapshot(ports: Ports) -> model.Snapshot:
    """Return the routes as fleetgate's data plane gets them."""
    backends = (model.Backend(SERVICE),)
    weights = tuple(model.Share(cluster, weight) for cluster, weight in WEIGHTS.items())
    gray = (model.Share("cluster-1", 0), model.Share("cluster-2", 100))
    condition = model.HeaderCondition("stage", ("gray",))
    endpoints = tuple(
        model.ClusterEndpoints(cluster, tuple(model.Endpoint("127.0.0.1", port) for port in pair))
        for cluster, pair in ports.clusters.items()
    )
    return model.Snapshot(
        version=1,
        listeners=(model.Listener(ports.fleetgate, SOURCE, address="127.0.0.1"),),
        routes=(
            _route("gray", ports, model.Forward(backends, _split(gray)), (condition,)),
            _route("weights", ports, model.Forward(backends, _split(weights))),
        ),
        services=(model.Service(SERVICE, endpoints),),
        clusters=tuple(model.Cluster(cluster) for cluster in WEIGHTS),
    )


def _split(shares: tuple[model.Share, ...]) -> model.Split:
    return model.Split(model.SplitMode.WEIGHTS, shares)


def _route(
    name: str, ports: Ports, action: model.Forward, conditions: tuple[model.HeaderCondition, ...] = ()
) -> model.Route:
    path = model.PathMatch(model.PathKind.PREFIX, "/svc1")
    return model.Route(name, SOURCE, (ports.fleetgate,), HOST, path, action, conditions)
