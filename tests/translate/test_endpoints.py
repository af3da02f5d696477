"""Which addresses of EndpointSlices serve a Service, cluster by cluster."""

from typing import Any

import pytest

from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.services import ServiceRef
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot
from tests.support.resolving import resolve_service, resolve_services
from tests.support.translation import Manifest, endpoint_slice, member_of, pods, service

S = "demo/web"
ID = "demo/web:80"


def resolve(*slices: Manifest, service_id: str = ID, ports: tuple[Manifest, ...] = ()) -> list[Endpoint]:
    members = {"c1": member_of("c1", [service(S, *ports), *slices])}
    (cluster,) = resolve_service(service_id, members, ["c1"]).clusters
    return list(cluster.endpoints)


def ready(address: str, port: int = 8080) -> Endpoint:
    return Endpoint(address, port)


def draining(address: str) -> Endpoint:
    return Endpoint(address, 8080, draining=True)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ready("10.0.0.1")),
        ({"ready": True}, ready("10.0.0.1")),
        ({"ready": False}, None),
        ({"ready": False, "serving": True}, None),
        ({"ready": False, "serving": True, "terminating": False}, None),
        ({"ready": False, "serving": True, "terminating": True}, draining("10.0.0.1")),
        ({"ready": False, "serving": False, "terminating": True}, None),
        ({"ready": False, "terminating": True}, None),  # serving not said: as ready
        (
            {"ready": True, "serving": True, "terminating": True},
            ready("10.0.0.1"),
        ),  # publishNotReadyAddresses
        ({"terminating": True}, ready("10.0.0.1")),
    ],
)
def test_conditions_decide_whether_an_address_serves(
    conditions: dict[str, bool], expected: Endpoint | None
) -> None:
    piece = endpoint_slice(S, [{"addresses": ["10.0.0.1"], "conditions": conditions}])
    assert resolve(piece) == ([expected] if expected else [])


def test_draining_endpoints_stay_beside_ready_ones_with_their_flag() -> None:
    leaving = pods(["10.0.0.1"], ready=False, serving=True, terminating=True)
    assert resolve(endpoint_slice(S, [*leaving, *pods(["10.0.0.2"])])) == [
        draining("10.0.0.1"),
        ready("10.0.0.2"),
    ]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_endpoint_in_two_slices_counts_once_and_ready_wins(order: tuple[str, str]) -> None:
    leaving = endpoint_slice(S, pods(["10.0.0.1"], ready=False, serving=True, terminating=True), order[0])
    assert resolve(leaving, endpoint_slice(S, pods(["10.0.0.1"]), order[1])) == [ready("10.0.0.1")]


def test_slices_are_merged_and_may_have_different_target_ports() -> None:
    other = endpoint_slice(S, pods(["10.0.0.2"]), "y", ports=[{"name": "", "port": 9090}])
    assert resolve(other, endpoint_slice(S, pods(["10.0.0.1"]))) == [
        ready("10.0.0.1"),
        ready("10.0.0.2", 9090),
    ]


def test_ports_match_by_name_and_protocol() -> None:
    ports = [
        {"name": "web", "port": 1},
        {"name": "admin", "port": 2},
        {"name": "web", "port": 3, "protocol": "UDP"},
        {"name": "web"},
    ]
    piece = endpoint_slice(S, pods(["10.0.0.1"]), ports=ports)
    named = ({"name": "admin", "port": 81}, {"name": "web", "port": 80})
    assert resolve(piece, ports=named) == [ready("10.0.0.1", 1)]
    assert resolve(piece, service_id="demo/web:admin", ports=named) == [ready("10.0.0.1", 2)]


def test_only_the_first_address_counts() -> None:
    piece = endpoint_slice(S, [{"addresses": ["10.0.0.1", "10.0.0.2"]}, {"addresses": []}])
    assert resolve(piece) == [ready("10.0.0.1")]


def test_host_names_are_ignored() -> None:
    assert resolve(endpoint_slice(S, pods(["pod.example.com"]), addressType="FQDN")) == []  # not resolved yet


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "expected"),
    [
        ({"ready": True}, {"ready": True}, ready("10.0.0.1")),
        ({"ready": False}, {"ready": True}, ready("fd00::1")),
        ({"ready": False, "serving": True, "terminating": True}, {"ready": True}, ready("fd00::1")),
        (
            {"ready": False, "serving": True, "terminating": True},
            {"ready": False, "serving": True, "terminating": True},
            draining("10.0.0.1"),
        ),
        (
            {"ready": False},
            {"ready": False, "serving": True, "terminating": True},
            draining("fd00::1"),
        ),
    ],
)
def test_pods_with_two_addresses_count_once(
    ipv4: dict[str, bool], ipv6: dict[str, bool], expected: Endpoint
) -> None:
    four = endpoint_slice(S, pods(["10.0.0.1"], **ipv4), "4")
    six = endpoint_slice(S, pods(["fd00::1"], **ipv6), "6", addressType="IPv6")
    assert resolve(four, six) == [expected]


def test_no_port_is_the_first_one_of_the_service() -> None:
    ports = (
        {"port": 53, "protocol": "UDP", "name": "dns"},
        {"port": 80, "protocol": "TCP", "name": "web"},
        {"port": 81, "protocol": "TCP", "name": "admin"},
    )
    piece = endpoint_slice(
        S,
        pods(["10.0.0.1"], ready=True),
        ports=[
            {"name": "web", "port": 8080, "protocol": "TCP"},
            {"name": "admin", "port": 8081, "protocol": "TCP"},
        ],
    )
    assert resolve(piece, service_id=f"{S}:", ports=ports) == [ready("10.0.0.1", 8080)]


def test_each_cluster_maps_the_port_by_its_own_service() -> None:
    def member(cluster: str, name: str, target: int) -> Any:
        piece = endpoint_slice(S, pods(["10.0.0.1"]), ports=[{"name": name, "port": target}])
        return member_of(cluster, [service(S, {"name": name, "port": 80}), piece])

    members = {"c1": member("c1", "web", 8080), "c2": member("c2", "http", 3000)}
    assert resolve_service(ID, members, ["c2", "c1"]) == Service(
        ID,
        (
            ClusterEndpoints("c1", (ready("10.0.0.1", 8080),)),
            ClusterEndpoints("c2", (ready("10.0.0.1", 3000),)),
        ),
    )


def test_a_cluster_without_the_service_or_its_port_has_no_part() -> None:
    members = {
        "no-service": member_of("no-service", [endpoint_slice(S, pods(["10.0.0.1"]))]),
        "other-port": member_of(
            "other-port", [service(S, {"port": 81}), endpoint_slice(S, pods(["10.0.0.1"]))]
        ),
        "other-namespace": member_of(
            "other-namespace", [service("other/web"), endpoint_slice(S, pods(["10.0.0.1"]))]
        ),
        "unattached": member_of("unattached", [service(S), endpoint_slice(S, pods(["10.0.0.1"]))]),
        "empty": member_of("empty", [service(S)]),
    }
    clusters = [cluster for cluster in members if cluster != "unattached"]
    assert resolve_service(ID, members, clusters) == Service(ID, (ClusterEndpoints("empty", ()),))


def test_a_cluster_that_is_not_synced_keeps_what_it_had() -> None:
    kept = Service(
        ID, (ClusterEndpoints("c1", (ready("10.0.0.9"),)), ClusterEndpoints("c2", (ready("10.0.0.8"),)))
    )
    members = {
        "c1": member_of("c1", [], synced=False),
        "c2": member_of("c2", [service(S), endpoint_slice(S, pods(["10.0.0.1"]))]),
    }
    previous = Snapshot(version=1, services=(kept,))
    assert resolve_services([ID, "demo/new:80"], members, ["c1", "c2", "c3"], previous=previous) == (
        Service(ID, (kept.clusters[0], ClusterEndpoints("c2", (ready("10.0.0.1"),)))),
        Service("demo/new:80", ()),
    )


def test_loopback_endpoints_need_permission() -> None:
    members = {"c1": member_of("c1", [service(S), endpoint_slice(S, pods(["127.0.0.1"]))])}
    assert resolve_service(ID, members, ["c1"]).clusters[0].endpoints == ()
    (cluster,) = resolve_service(ID, members, ["c1"], allow_loopback=True).clusters
    assert cluster.endpoints == (ready("127.0.0.1"),)


def targets(addresses: dict[str, str | None], kind: str = "Pod") -> list[Manifest]:
    """Return a ready endpoint per address, made from the pod of that name."""
    return [
        {"addresses": [address]} | ({"targetRef": {"kind": kind, "name": name}} if name else {})
        for address, name in addresses.items()
    ]


def pod(name: str, **labels: str) -> Manifest:
    return {"kind": "Pod", "metadata": {"namespace": "demo", "name": name, "labels": labels}}


def test_labels_choose_among_the_pods_of_a_service() -> None:
    ref = ServiceRef.of("demo", "web", 80, labels={"version": "v2", "tier": "a"})
    piece = endpoint_slice(
        S,
        [
            *targets({"10.0.0.1": "one", "10.0.0.2": "two", "10.0.0.3": "partly", "10.0.0.4": "unknown"}),
            *targets({"10.0.0.5": None}),
            *targets({"10.0.0.6": "two"}, kind="Node"),
        ],
    )
    known = [
        pod("one", version="v1", tier="a"),
        pod("two", version="v2", tier="a", other="x"),
        pod("partly", version="v2"),
    ]
    members = {"c1": member_of("c1", [service(S), piece, *known])}
    assert resolve_service(ref.id, members, ["c1"]).clusters == (
        ClusterEndpoints("c1", (ready("10.0.0.2"),)),
    )
    assert len(resolve_service(ID, members, ["c1"]).clusters[0].endpoints) == 6


@pytest.mark.parametrize("denied", [False, True])
def test_a_cluster_whose_pods_are_not_known_keeps_its_subset(denied: bool) -> None:
    ref = ServiceRef.of("demo", "web", 80, labels={"version": "v2"})
    kept = Service(ref.id, (ClusterEndpoints("c1", (ready("10.0.0.9"),)),))
    members = {
        "c1": member_of(
            "c1",
            [service(S), endpoint_slice(S, pods(["10.0.0.1"]))],
            pods_denied=frozenset({"demo"} if denied else ()),
        )
    }
    resolver = ServiceResolver(members, ["c1"], previous=Snapshot(version=1, services=(kept,)))
    resolution = resolver.resolve(ref.id)
    assert resolution.service == kept
    assert resolution.unsynced == {"c1"}
    assert resolution.unlabelled == ({"c1"} if denied else set())
    assert resolver.resolve(ID).service.clusters == (ClusterEndpoints("c1", (ready("10.0.0.1"),)),)
    assert resolver.resolve(ID).unlabelled == set()


def test_a_service_may_have_another_name_and_port_in_one_cluster() -> None:
    other = endpoint_slice("demo/other", pods(["10.0.2.1"]), ports=[{"name": "web", "port": 3000}])
    members = {
        "c1": member_of("c1", [service(S), endpoint_slice(S, pods(["10.0.1.1"]))]),
        "c2": member_of("c2", [service("demo/other", {"name": "web", "port": 81}), other]),
    }
    ref = ServiceRef.of("demo", "web", 80, overrides={"c2": ("other", "web")})
    assert resolve_service(ref.id, members, ["c1", "c2"]).clusters == (
        ClusterEndpoints("c1", (ready("10.0.1.1"),)),
        ClusterEndpoints("c2", (ready("10.0.2.1", 3000),)),
    )
