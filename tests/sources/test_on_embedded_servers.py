"""The same code against the API server that demo and standalone mode run on."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from controlplane.embedded.server import EmbeddedServer
from controlplane.kube.client import ApiClient, open_client
from controlplane.kube.errors import ApiError
from controlplane.kube.events import EventRecorder, EventSubject
from controlplane.kube.lease import LeaderElector
from controlplane.kube.patch import patch_status
from controlplane.kube.store import StoredStatus
from controlplane.report import annotation
from controlplane.report.annotation import ShareAnnotator
from controlplane.report.statuses import StatusWriter
from controlplane.report.writer import CONFLICTS
from controlplane.resources.kinds import (
    ALBCONFIGS,
    ENDPOINT_SLICES,
    INGRESSES,
    PODS,
    REFERENCE_GRANTS_BETA,
    SECRETS,
    SERVER_GROUPS,
    SERVICES,
    Kind,
)
from controlplane.sources.fleet import Fleet
from controlplane.translate.annotations.effective_shares import KEY as SHARES_KEY
from controlplane.translate.model import Facts, HostAddresses, LastGood, ObjectStatus
from controlplane.translate.servergroups import build_groups
from controlplane.translate.services import ServiceRef, labels_needed
from loadtest.ports import free_port
from proxy.model.actions import Backend, Forward
from tests.support.clusters import answer_with
from tests.support.inprocess import serving
from tests.support.objects import endpoint_slice, service
from tests.support.origin import Origin
from tests.support.requests import tally
from tests.support.resolving import resolve_services
from tests.support.snapshots import route, snapshot
from tests.support.waiting import until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRDS = Path(__file__).parents[2] / "deploy/crds"
ALBCONFIG_CRD = CRDS / "albconfigs.alibabacloud.com.yaml"
GRANT_CRD = CRDS.parent / "demo/fleet/05-referencegrants.yaml"
SERVER_GROUP_CRD = CRDS / "servergroups.fleetgate.io.yaml"


class Cluster:
    """An embedded server and a client of it, as kubectl would be."""

    def __init__(self, name: str, folder: Path) -> None:
        self.server = EmbeddedServer(name)
        self.path = folder / f"{name}.kubeconfig"
        self.client: ApiClient

    async def __aenter__(self) -> "Cluster":
        await self.server.start()
        self.path.write_text(self.server.kubeconfig())
        self.client = await open_client(self.path)
        await self.client.create("/api/v1/namespaces", b'{"metadata":{"name":"demo"}}')
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.server.stop()

    async def create(self, kind: Kind[Any], item: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **item}
        collection = kind.object_path(item["metadata"].get("namespace", ""), "").rstrip("/")
        made: dict[str, Any] = json.loads(await self.client.create(collection, json.dumps(body).encode()))
        return made

    async def delete(self, kind: Kind[Any], namespace: str, name: str) -> None:
        await self.client.request("DELETE", kind.object_path(namespace, name))


@pytest.fixture
async def fleet_server(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster("fleet", tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def member_server(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster("cluster-1", tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def fleet(fleet_server: Cluster) -> AsyncIterator[Fleet]:
    client = await open_client(fleet_server.path)
    made = Fleet(client, {}, lambda: None, namespace="demo")
    task = asyncio.create_task(made.run())
    async with asyncio.timeout(10):
        await made.synced.wait()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


async def test_a_member_registered_by_a_secret_is_followed(
    fleet_server: Cluster, member_server: Cluster, fleet: Fleet
) -> None:
    kubeconfig = base64.b64encode(member_server.server.kubeconfig().encode()).decode()
    labels = {"fleetgate.io/cluster": "cluster-1"}
    meta = {"name": "cluster-1", "namespace": "demo", "labels": labels}
    await fleet_server.create(SECRETS, {"metadata": meta, "data": {"kubeconfig": kubeconfig}})
    await member_server.create(SERVICES, service("web"))
    fleet.attach(frozenset({"cluster-1"}))
    await until(lambda: "cluster-1" in fleet.member_objects() and fleet.member_objects()["cluster-1"].synced)
    assert "demo/web" in fleet.member_objects()["cluster-1"].services
    for address in ("10.0.0.1", "10.0.0.2"):
        await member_server.create(ENDPOINT_SLICES, endpoint_slice(f"web-{address[-1]}", address))
    await until(lambda: len(fleet.member_objects()["cluster-1"].slices) >= 2)
    await member_server.delete(ENDPOINT_SLICES, "demo", "web-1")
    await until(lambda: "demo/web-1" not in fleet.member_objects()["cluster-1"].slices)
    (health,) = fleet.health()
    assert (health.synced, health.stale, health.last_error) == (True, False, "")
    await fleet_server.delete(SECRETS, "demo", "cluster-1")
    await until(lambda: fleet.member_objects() == {})


async def test_secrets_of_other_namespaces_register_nothing(
    fleet_server: Cluster, member_server: Cluster, fleet: Fleet
) -> None:
    kubeconfig = base64.b64encode(member_server.server.kubeconfig().encode()).decode()
    for namespace, cluster in (("default", "theirs"), ("demo", "ours")):
        meta = {"name": "member", "namespace": namespace, "labels": {"fleetgate.io/cluster": cluster}}
        await fleet_server.create(SECRETS, {"metadata": meta, "data": {"kubeconfig": kubeconfig}})
    await until(lambda: "ours" in fleet.known_clusters())
    assert fleet.known_clusters() == {"ours"}


async def test_grants_come_and_go_with_their_definition(fleet_server: Cluster, fleet: Fleet) -> None:
    """The definition is that of the demo, which has the older version only."""
    assert fleet.no_grants() == "the Fleet does not serve them"
    document = yaml.safe_load(GRANT_CRD.read_text())
    await fleet_server.client.create(DEFINITIONS, json.dumps(document).encode())
    spec = {
        "from": [{"group": "networking.k8s.io", "kind": "Ingress", "namespace": "shop"}],
        "to": [{"group": "", "kind": "Service"}],
    }
    item = {"metadata": {"name": "shop", "namespace": "demo"}, "spec": spec}

    async def made() -> bool:
        try:
            await fleet_server.create(REFERENCE_GRANTS_BETA, item)
        except ApiError:
            return False
        return True

    async with asyncio.timeout(10):
        while not await made():
            await asyncio.sleep(0.05)
    await until(lambda: "demo/shop" in fleet.fleet_objects().reference_grants, 60)
    (source,) = fleet.fleet_objects().reference_grants["demo/shop"].spec.from_
    assert (source.kind, source.namespace, fleet.no_grants()) == ("Ingress", "shop", "")
    await fleet_server.delete(REFERENCE_GRANTS_BETA, "demo", "shop")
    await until(lambda: not fleet.fleet_objects().reference_grants)


@pytest.mark.parametrize("kind", [INGRESSES, ALBCONFIGS], ids=lambda kind: kind.plural)
async def test_the_status_of_an_object_is_not_written_to_another_of_its_name(
    fleet_server: Cluster, kind: Kind[Any]
) -> None:
    for document in yaml.safe_load_all(ALBCONFIG_CRD.read_text()):
        await fleet_server.client.create(DEFINITIONS, json.dumps(document).encode())
    namespace = "demo" if kind is INGRESSES else ""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    item = {"metadata": {"name": "x", "namespace": namespace}, "spec": {"defaultBackend": backend}}
    old = (await fleet_server.create(kind, item))["metadata"]
    await fleet_server.delete(kind, namespace, "x")
    new = (await fleet_server.create(kind, item))["metadata"]
    patch = {"loadBalancer": {"dnsname": "gw.example"}}
    for meta, written in ((old, False), (new, True)):
        current = StoredStatus(meta["uid"], meta["resourceVersion"], b"")
        refusal: ApiError | None = None
        try:
            await patch_status(fleet_server.client, kind, namespace, "x", current, patch)
        except ApiError as error:
            refusal = error
        assert (refusal is None) is written
        assert refusal is None or refusal.status in CONFLICTS


async def test_status_and_event_of_an_ingress_are_written(fleet_server: Cluster, fleet: Fleet) -> None:
    spec = {"ingressClassName": "alb", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    made = await fleet_server.create(
        INGRESSES, {"metadata": {"name": "web", "namespace": "demo"}, "spec": spec}
    )
    await until(lambda: "demo/web" in fleet.fleet_objects().ingresses)
    client = fleet_server.client
    elector = LeaderElector(client, "kube-system", "fleetgate", "me")
    recorder = EventRecorder(client, "me")
    writer = StatusWriter(client, recorder, elector, fleet.current_status)
    tasks = [asyncio.create_task(part.run()) for part in (elector, recorder, writer)]
    entry = {"hostname": "gw.example", "ports": [{"port": 8001, "protocol": "TCP"}]}
    status = {"loadBalancer": {"ingress": [entry]}}
    desired = ObjectStatus(INGRESSES, "demo", "web", made["metadata"]["uid"], status, 1)
    writer.submit((desired,), ())
    await until(lambda: writer.counters.written == 1)
    await until(lambda: recorder.counters.written == 1)
    stored = json.loads(await client.get(INGRESSES.object_path("demo", "web")))
    assert stored["status"] == status
    assert stored["metadata"]["generation"] == 1
    events = json.loads(await client.list("/api/v1/namespaces/demo/events"))["items"]
    assert [(event["reason"], event["type"]) for event in events] == [("Synced", "Normal")]
    writer.submit((desired,), ())
    await until(lambda: writer.counters.noop)
    assert writer.counters.written == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def pod(name: str, version: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "demo", "labels": {"version": version}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}


async def test_a_pod_moves_between_subsets_when_its_labels_change(
    fleet_server: Cluster, member_server: Cluster, fleet: Fleet
) -> None:
    kubeconfig = base64.b64encode(member_server.server.kubeconfig().encode()).decode()
    meta = {"name": "cluster-1", "namespace": "demo", "labels": {"fleetgate.io/cluster": "cluster-1"}}
    await fleet_server.create(SECRETS, {"metadata": meta, "data": {"kubeconfig": kubeconfig}})
    await member_server.create(SERVICES, service("web"))
    piece = endpoint_slice("web-1", "10.0.0.1", "10.0.0.2")
    for number, version in enumerate(("v1", "v2")):
        await member_server.create(PODS, pod(f"web-{number}", version))
        target = {"kind": "Pod", "namespace": "demo", "name": f"web-{number}"}
        piece["endpoints"][number]["targetRef"] = target
    await member_server.create(ENDPOINT_SLICES, piece)
    ids = [ServiceRef.of("demo", "web", 80, labels={"version": name}).id for name in ("v1", "v2")]
    fleet.attach(frozenset({"cluster-1"}), labels_needed(ids))

    def subsets() -> list[list[str]]:
        services = resolve_services(ids, fleet.member_objects(), ["cluster-1"])
        return [[point.address for part in one.clusters for point in part.endpoints] for one in services]

    await until(lambda: subsets() == [["10.0.0.1"], ["10.0.0.2"]])
    patch = b'{"metadata":{"labels":{"version":"v1"}}}'
    await member_server.client.patch(PODS.object_path("demo", "web-1"), patch)
    await until(lambda: subsets() == [["10.0.0.1", "10.0.0.2"], []], deadline_s=1.0)


async def test_a_server_group_of_the_fleet_serves_by_weight_and_zone(
    fleet_server: Cluster, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.kube.recovery.MISSING_KIND_S", 0.05)
    definition = yaml.safe_load(SERVER_GROUP_CRD.read_text())
    await fleet_server.client.create(DEFINITIONS, json.dumps(definition).encode())
    async with AsyncExitStack() as stack:
        near, far, remote = [
            await stack.enter_async_context(Origin(answer_with(name))) for name in ("near", "far", "remote")
        ]
        servers = [
            {"address": "127.0.0.1", "port": near.port, "weight": "75", "zone": "a"},
            {"address": "idc.example", "port": far.port, "weight": 25, "zone": "a"},
            {"address": "127.0.0.1", "port": remote.port, "zone": "b"},
        ]
        group = {"id": "sgp-1", "servers": servers, "failover": ["a", "b"]}
        await fleet_server.create(
            SERVER_GROUPS, {"metadata": {"name": "idc", "namespace": "demo"}, "spec": group}
        )
        await until(lambda: "demo/idc" in fleet.fleet_objects().server_groups)
        facts = Facts(allow_loopback=True, hosts={"idc.example": HostAddresses(("127.0.0.1",))})
        groups = build_groups(fleet.fleet_objects(), facts, LastGood(), None)
        found = groups.resolve("demo", "sgp-1")
        assert found.split is not None
        port = free_port()
        one = snapshot(port, {}, route(port, to=found.service))
        action = Forward((Backend(found.service, split=found.split),), found.split)
        routes = tuple(msgspec.structs.replace(item, action=action) for item in one.routes)
        services = tuple(groups.services.values())
        async with serving(msgspec.structs.replace(one, routes=routes, services=services)):
            assert await tally(port, 100) == {"near": 75, "far": 25}
            near.stop()
            far.stop()
            assert await tally(port, 20) == {"remote": 20}


async def test_shares_are_written_to_an_ingress_and_nothing_else_is(
    fleet_server: Cluster, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SETTLE_S", "PAUSE_S", "LOOK_S"):
        monkeypatch.setattr(annotation, name, getattr(annotation, name) / 10)
    spec = {"ingressClassName": "alb", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    meta = {"name": "web", "namespace": "demo", "annotations": {"user": "1"}}
    made = await fleet_server.create(INGRESSES, {"metadata": meta, "spec": spec})
    await until(lambda: "demo/web" in fleet.fleet_objects().ingresses)
    client, uids = fleet_server.client, {"demo/web": made["metadata"]["uid"]}
    elector = LeaderElector(client, "kube-system", "fleetgate", "me")
    writer = ShareAnnotator(client, elector, lambda ingress: uids["/".join(ingress)], fleet.shares_written)
    tasks = [asyncio.create_task(part.run()) for part in (elector, writer)]
    writer.want({("demo", "web"): "{1}"})
    await until(lambda: fleet.shares_written() == {("demo", "web"): "{1}"}, 15)
    stored = json.loads(await client.get(INGRESSES.object_path("demo", "web")))
    assert stored["metadata"]["annotations"] == {"user": "1", SHARES_KEY: "{1}"}
    assert (stored["metadata"]["generation"], stored["spec"]) == (1, made["spec"])
    (managed,) = (m for m in stored["metadata"]["managedFields"] if m["manager"] == "fleetgate-shares")
    assert managed["fieldsV1"] == {"f:metadata": {"f:annotations": {f"f:{SHARES_KEY}": {}}}}
    assert writer.counters.written == 1
    uids["demo/web"] = "of an Ingress that had this name before"
    writer.want({("demo", "web"): "{2}"})
    await until(lambda: writer.counters.conflict, 20)
    stored = json.loads(await client.get(INGRESSES.object_path("demo", "web")))
    assert stored["metadata"]["annotations"][SHARES_KEY] == "{1}"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_event_that_happens_again_is_counted_with_its_new_message(fleet_server: Cluster) -> None:
    recorder = EventRecorder(fleet_server.client, "me")
    task = asyncio.create_task(recorder.run())
    subject = EventSubject("networking.k8s.io/v1", "Ingress", "demo", "web", "uid")
    recorder.record(subject, "Warning", "ClusterFailedOver", "first", about="c", since=time.time())
    await until(lambda: recorder.counters.written == 1)
    other = EventRecorder(fleet_server.client, "the next leader")
    tasks = [task, asyncio.create_task(other.run())]
    other.record(subject, "Warning", "ClusterFailedOver", "second", about="c", since=time.time() + 60)
    await until(lambda: other.counters.repeated == 1)
    (event,) = json.loads(await fleet_server.client.list("/api/v1/namespaces/demo/events"))["items"]
    assert (event["count"], event["message"]) == (2, "second")
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
