"""The gateway under test, one feature of the suite on it, and the client that asks."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from controlplane.gateway.gateway import Gateway
from loadtest.ports import free_port
from tests.conformance.scenarios import FEATURES, Service
from tests.support.apiservers import ApiServers, api_servers
from tests.support.clusters import gateway_on, ready
from tests.support.echo import echo
from tests.support.origin import Origin
from tests.support.waiting import until, until_async

ADDRESS = "127.0.0.1"
BALANCED_PODS = 10
USER_AGENT = "Go-http-client/1.1"

GATEWAY = """
apiVersion: alibabacloud.com/v1
kind: AlbConfig
metadata:
  name: conformance
  annotations:
    alb.ingress.kubernetes.io/remote-clusters: cluster-1,cluster-2
spec:
  listeners:
    - port: {port}
      protocol: HTTP
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: conformance
spec:
  controller: ingress.k8s.alibabacloud/alb
  parameters:
    apiGroup: alibabacloud.com
    kind: AlbConfig
    name: conformance
"""

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata:
  name: {name}
"""

SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  ports:
    - name: "{port_name}"
      port: {port}
      targetPort: {target}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  labels:
    kubernetes.io/service-name: {name}
addressType: IPv4
ports:
  - name: "{port_name}"
    port: {target}
    protocol: TCP
endpoints: {endpoints}
"""


@dataclass(frozen=True)
class Rig:
    """`servers` are the API servers, `port` the listener of the gateway."""

    servers: ApiServers
    gateway: Gateway
    port: int
    pod_port: int


@dataclass(frozen=True)
class Feature:
    """A feature of the suite in its namespace."""

    rig: Rig
    namespace: str

    async def address_of(self, ingress: str) -> tuple[str, int] | None:
        """Return what the status of an Ingress says: where to ask, None for nowhere."""
        entries = await self._entries(ingress)
        return (entries[0]["ip"], entries[0]["ports"][0]["port"]) if entries else None

    async def ports_of(self, ingress: str) -> list[int]:
        """Return every port that the status of an Ingress names."""
        return [port["port"] for entry in await self._entries(ingress) for port in entry["ports"]]

    async def _entries(self, ingress: str) -> list[Any]:
        found = await self.rig.servers.get("fleet", "Ingress", ingress, self.namespace)
        entries: list[Any] = found.get("status", {}).get("loadBalancer", {}).get("ingress", [])
        return entries


@asynccontextmanager
async def rig_in(directory: Path) -> AsyncIterator[Rig]:
    port, pod_port = free_port(), free_port()
    async with api_servers(directory) as servers:
        await servers.create("fleet", GATEWAY.format(port=port))
        async with gateway_on(servers, address=ADDRESS) as gateway:
            await ready(gateway)
            yield Rig(servers, gateway, port, pod_port)


@asynccontextmanager
async def feature_on(rig: Rig, name: str, clusters: tuple[str, ...], pods: int) -> AsyncIterator[Feature]:
    """Deploy a feature with `pods` pods of each service, evenly over `clusters`, until it has an address."""
    feature = Feature(rig, name)
    names = ("fleet", *rig.servers.members)
    async with AsyncExitStack() as stack:
        for server in names:
            await rig.servers.create(server, NAMESPACE.format(name=name))
        for cluster in clusters:
            for service, origins in _pods(rig, feature, cluster, pods // len(clusters)):
                for origin in origins:
                    await stack.enter_async_context(origin)
                await rig.servers.create(cluster, _manifests(service, origins), name)
        text = (Path(__file__).parent / "features" / f"{name}.yaml").read_text()
        await rig.servers.create("fleet", text, name)
        last = "valid-class" if name == "ingress-class" else name
        await until_async(lambda: feature.address_of(last), 10, f"{last} has an address")
        yield feature
        for server in names:
            await rig.servers.delete_namespace(server, name)
        await until(lambda: not _routes(rig.gateway), 10, "the routes are gone")


class Stage:
    """The one feature that is deployed: like the suite's, each has the gateway to itself."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._shown = AsyncExitStack()
        self._key: tuple[str, tuple[str, ...]] | None = None
        self._feature: Feature | None = None

    async def show(self, name: str, clusters: tuple[str, ...]) -> Feature:
        """Return the feature, deployed in place of another one unless it is there already."""
        if self._feature is None or self._key != (name, clusters):
            await self.clear()
            pods = BALANCED_PODS if name == "load-balancing" else len(clusters)
            shown = feature_on(self._rig, name, clusters, pods)
            self._feature = await self._shown.enter_async_context(shown)
            self._key = name, clusters
        return self._feature

    async def clear(self) -> None:
        self._feature = None
        await self._shown.aclose()


def _routes(gateway: Gateway) -> Sequence[Any]:
    snapshot = gateway.state().snapshot
    return () if snapshot is None else snapshot.routes


def _pods(rig: Rig, feature: Feature, cluster: str, count: int) -> Iterator[tuple[Service, list[Origin]]]:
    block = list(rig.servers.members).index(cluster)
    for index, service in enumerate(FEATURES[feature.namespace]):
        addresses = [f"127.40.{block}.{1 + index * count + number}" for number in range(count)]
        yield service, [_pod(rig, feature, cluster, service, address) for address in addresses]


def _pod(rig: Rig, feature: Feature, cluster: str, service: Service, address: str) -> Origin:
    told = {"namespace": feature.namespace, "service": service.name, "cluster": cluster, "pod": address}
    return Origin(echo(**told), address, rig.pod_port)


def _manifests(service: Service, origins: Sequence[Origin]) -> str:
    endpoints = [{"addresses": [origin.host], "conditions": {"ready": True}} for origin in origins]
    return SERVICE.format(
        name=service.name, port=service.port, port_name=service.port_name,
        target=origins[0].port, endpoints=json.dumps(endpoints),
    )  # fmt: skip


@asynccontextmanager
async def suite_client() -> AsyncIterator[httpx.AsyncClient]:
    """A client like the suite's: a connection for each request, Go's user agent, no compression."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, verify=False, limits=limits, timeout=10.0) as client:
        for name in ("accept", "accept-encoding", "connection"):
            del client.headers[name]
        client.headers["user-agent"] = USER_AGENT
        yield client
