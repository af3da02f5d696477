"""The gateway is no endpoint of its own: which address and port lead back to it, and what is said of it."""

from typing import Any

import pytest

from controlplane.translate.builder import translate
from controlplane.translate.model import Facts, HostAddresses, LastGood, Translation
from controlplane.translate.ownsockets import OwnSockets
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot
from tests.support.translation import endpoint_slice, fleet_of, gateway, member_of, pods, service

OWN = frozenset(("10.1.2.3", "fd00::3"))
LISTENER, ADMIN = 8001, 9901


def sockets(**facts: Any) -> OwnSockets:
    told: dict[str, Any] = {
        "own_addresses": OWN,
        "admin": ("127.0.0.1", ADMIN),
        "allow_loopback": True,
    } | facts
    return OwnSockets(Facts(**told), (LISTENER,))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "fd00::3", "::ffff:10.1.2.3", "::ffff:127.0.0.1",
     "64:ff9b::a01:203", "fd00:0:0::3", "::ffff:a01:203"],
)  # fmt: skip
def test_every_spelling_of_an_own_address_is_one(address: str) -> None:
    assert "listener of this gateway" in sockets().cause(address, LISTENER)
    assert sockets().cause(address, 8002) == ""


@pytest.mark.parametrize("address", ["10.1.2.4", "fd00::4", "203.0.113.7"])
def test_the_same_port_of_another_machine_is_an_endpoint(address: str) -> None:
    assert sockets().cause(address, LISTENER) == ""
    assert sockets().cause(address, ADMIN) == ""


def test_a_socket_on_one_address_is_reached_by_that_one_only() -> None:
    assert "admin API" in sockets().cause("127.0.0.1", ADMIN)
    assert sockets().cause("127.0.0.2", ADMIN) == ""
    assert sockets().cause("10.1.2.3", ADMIN) == ""
    for everywhere in ("0.0.0.0", "::"):
        assert "admin API" in sockets(admin=(everywhere, ADMIN)).cause("10.1.2.3", ADMIN)
    bound = sockets(listen_address="10.1.2.3")
    assert bound.cause("10.1.2.3", LISTENER)
    assert not bound.cause("127.0.0.1", LISTENER)


def test_the_address_that_statuses_say_is_ours_and_a_port_that_failed_is_not() -> None:
    assert sockets(address="203.0.113.7").cause("203.0.113.7", LISTENER)
    assert sockets(address="gw.example.com").cause("203.0.113.7", LISTENER) == ""
    assert sockets(failed_ports={LISTENER: "in use"}).cause("10.1.2.3", LISTENER) == ""


def ingress() -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "demo", "name": "web"},
        "spec": {"ingressClassName": "alb", "rules": [{"host": "a.example.com", "http": {"paths": paths}}]},
    }


def translated(*fleet: dict[str, Any], slices: Any = (), previous: Snapshot | None = None) -> Translation:
    members = {
        cluster: member_of(cluster, [service("demo/web"), *slices]) for cluster in ("cluster-1", "cluster-2")
    }
    if previous is not None:
        members = {}
    facts = Facts(
        known_clusters=frozenset(("cluster-1", "cluster-2")),
        own_addresses=OWN,
        admin=("0.0.0.0", ADMIN),
        hosts={"self.example.com": HostAddresses(("10.1.2.3", "10.7.7.7"))},
    )
    return translate(fleet_of([*gateway(LISTENER), *fleet]), members, facts, LastGood(), 2, previous)


def addresses(translation: Translation, service_id: str) -> list[tuple[str, int]]:
    (found,) = (service for service in translation.snapshot.services if service.id == service_id)
    return [(each.address, each.port) for part in found.clusters for each in part.endpoints]


@pytest.mark.parametrize(("port", "what"), [(LISTENER, "requests would go round"), (ADMIN, "admin API")])
def test_a_slice_that_names_the_gateway_is_refused_and_pods_beside_it_serve(port: int, what: str) -> None:
    ports = [{"name": "", "port": port, "protocol": "TCP"}]
    piece = endpoint_slice("demo/web", pods(["10.1.2.3", "10.1.2.4"]), ports=ports)
    found = translated(ingress(), slices=[piece])
    assert addresses(found, "demo/web:80") == [("10.1.2.4", port)] * 2
    told = [item for item in found.diagnostics if item.code == "FG0603"]
    assert {item.kind for item in told} == {"EndpointSlice"}
    assert all(what in item.message for item in told)


def test_pods_on_the_network_of_the_gateways_machine_serve_on_their_own_ports() -> None:
    ports = [{"name": "", "port": 9376, "protocol": "TCP"}]
    piece = endpoint_slice("demo/web", pods(["10.1.2.3"]), ports=ports)
    assert addresses(translated(ingress(), slices=[piece]), "demo/web:80") == [("10.1.2.3", 9376)] * 2


def group(*servers: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": "demo", "name": "idc"}
    return {"kind": "ServerGroup", "metadata": metadata, "spec": {"servers": list(servers)}}


def grouped() -> dict[str, Any]:
    found = ingress()
    actions = [{"type": "ForwardGroup", "ForwardConfig": {"ServerGroups": [{"ServerGroupID": "idc"}]}}]
    found["metadata"]["annotations"] = {
        "alb.ingress.kubernetes.io/actions.web": str(actions).replace("'", '"')
    }
    backend = {"service": {"name": "web", "port": {"name": "use-annotation"}}}
    found["spec"]["rules"][0]["http"]["paths"][0]["backend"] = backend
    return found


def test_a_server_group_that_names_the_gateway_is_told_and_its_others_serve() -> None:
    servers = (
        {"address": "10.1.2.3", "port": ADMIN},
        {"address": "10.1.2.3", "port": 9376},
        {"address": "self.example.com", "port": LISTENER},
    )
    found = translated(grouped(), group(*servers))
    assert addresses(found, "servergroup:demo/idc") == [("10.1.2.3", 9376), ("10.7.7.7", LISTENER)]
    told = {(item.code, item.field) for item in found.diagnostics if item.kind == "ServerGroup"}
    assert told == {("FG0613", "spec.servers[0].address"), ("FG0609", "spec.servers[2].address")}


def test_endpoints_of_an_earlier_snapshot_are_not_kept_when_they_are_the_gateway() -> None:
    before = Service(
        "demo/web:80",
        (ClusterEndpoints("cluster-1", (Endpoint("10.1.2.3", ADMIN), Endpoint("10.1.2.4", ADMIN))),),
    )
    found = translated(ingress(), previous=Snapshot(1, services=(before,)))
    assert addresses(found, "demo/web:80") == [("10.1.2.4", ADMIN)]
