"""ExternalName Services and EndpointSlices of type FQDN: hosts that stand for pods, and their rules."""

from collections.abc import Iterable
from typing import Any

import pytest

from controlplane.translate.backends import check_backend
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.endpoints import Resolution, ServiceResolver
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.hostnames import refused_name
from controlplane.translate.model import Facts, HostAddresses
from controlplane.translate.ownsockets import OwnSockets
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service, Snapshot
from tests.support.translation import Manifest, endpoint_slice, member_of, run_case, service

HOST = "db.example.com"
KNOWN = {f"{HOST}.": HostAddresses(("192.0.2.1", "192.0.2.2"))}
PODS = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}


def external(name: str = HOST, *ports: Manifest) -> Manifest:
    return {
        "kind": "Service",
        "metadata": {"namespace": "a", "name": "s"},
        "spec": {"type": "ExternalName", "externalName": name, "ports": list(ports)},
    }


def named(*hosts: str, port: int = 8080, **conditions: bool) -> Manifest:
    """A slice of host names, one endpoint each."""
    endpoints: list[Manifest] = [{"addresses": [host], "conditions": conditions} for host in hosts]
    ports = [{"name": "", "port": port, "protocol": "TCP"}]
    return endpoint_slice("a/s", endpoints, "names", addressType="FQDN", ports=ports)


def resolver_of(
    objects: Iterable[Manifest], hosts: dict[str, HostAddresses] | None = None, **more: Any
) -> ServiceResolver:
    members = {"c1": member_of("c1", objects)}
    return ServiceResolver(members, ["c1"], hosts=KNOWN if hosts is None else hosts, **more)


def resolve(
    objects: Iterable[Manifest], service_id: str = "a/s:80", hosts: dict[str, HostAddresses] | None = None
) -> Resolution:
    return resolver_of(objects, hosts).resolve(service_id)


def endpoints(resolution: Resolution) -> list[tuple[str, int]]:
    return [(each.address, each.port) for part in resolution.service.clusters for each in part.endpoints]


def found(objects: Iterable[Manifest], hosts: dict[str, HostAddresses] | None = None) -> list[Diagnostic]:
    findings = Findings(Subject("Ingress", "a", "web"))
    gateway = LiveGateway(Dialect.ALB, Subject("AlbConfig", "", "g"), (), ("c1",), findings)
    check_backend(
        "a/s:80", "spec", "requests are answered 503", gateway, resolver_of(objects, hosts), findings
    )
    return findings.items


def test_an_external_name_is_served_by_the_addresses_of_its_host() -> None:
    resolution = resolve([external()])
    assert endpoints(resolution) == [("192.0.2.1", 80), ("192.0.2.2", 80)]
    assert resolution.existing == {"c1"}
    (part,) = resolution.service.clusters
    assert not part.pods  # what an address stands for is not known: it is never taken for stopped


@pytest.mark.parametrize(
    ("ports", "asked", "expected"),
    [
        ([], "80", 80),
        ([], "8443", 8443),
        ([{"port": 80}], "80", 80),
        ([{"port": 80, "targetPort": 8080}], "80", 8080),
        ([{"port": 80, "targetPort": "web"}], "80", 80),
        ([{"port": 80, "name": "web", "targetPort": 8080}], "web", 8080),
        ([{"port": 80}], "", 80),
        ([], "", None),
        ([], "web", None),
        ([{"port": 80}], "81", None),
        ([{"port": 80, "protocol": "UDP"}], "80", None),
    ],
)
def test_the_port_is_that_of_the_service_or_of_the_rule(
    ports: list[Manifest], asked: str, expected: int | None
) -> None:
    resolution = resolve([external(HOST, *ports)], f"a/s:{asked}")
    if expected is None:
        assert endpoints(resolution) == []
        assert set(resolution.without_port) == {"c1"}
    else:
        assert endpoints(resolution) == [("192.0.2.1", expected), ("192.0.2.2", expected)]


def test_names_are_looked_up_without_search_domains_and_only_where_they_are_used() -> None:
    resolver = resolver_of([external("DB.Example.COM.")])
    assert resolver.hosts == frozenset()
    resolver.resolve("a/s:80")
    assert resolver.hosts == {f"{HOST}."}


def test_names_of_slices_stand_beside_addresses() -> None:
    objects = [service("a/s"), endpoint_slice("a/s", [PODS]), named(HOST, ready=True)]
    resolution = resolve(objects)
    assert endpoints(resolution) == [("10.0.0.1", 8080), ("192.0.2.1", 8080), ("192.0.2.2", 8080)]
    assert not resolution.service.clusters[0].pods
    assert resolve([service("a/s"), endpoint_slice("a/s", [PODS])]).service.clusters[0].pods


@pytest.mark.parametrize(
    ("conditions", "draining"),
    [
        ({}, False),
        ({"ready": True}, False),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False}, None),
    ],
)
def test_names_of_slices_are_as_ready_as_they_say(conditions: dict[str, bool], draining: bool | None) -> None:
    (part,) = resolve([service("a/s"), named(HOST, **conditions)]).service.clusters
    expected = () if draining is None else tuple(Endpoint(f"192.0.2.{n}", 8080, draining) for n in (1, 2))
    assert part.endpoints == expected


def test_pods_with_labels_are_no_hosts() -> None:
    assert endpoints(resolve([external()], "a/s:80[v=1]")) == []


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "db",
        "web.other.svc",
        "web.other.svc.cluster.local",
        "WEB.other.SVC.cluster.local.",
        "web.other.svc.corp.example",
        "10-0-0-1.other.pod.cluster.local",
        "x.cluster.local",
        "169.254.169.254",
        "::1",
        "*.example.com",
        "a_b.example.com",
        "a..b",
        "a.example.com:80",
        "http://a.example.com",
    ],
)
def test_names_that_lead_elsewhere_are_refused_and_told(host: str) -> None:
    assert refused_name(host.lower().removesuffix("."))
    objects = [external(host)], [service("a/s"), named(host)]
    for each in objects if host else objects[:1]:
        assert endpoints(resolve(each)) == []
        assert resolver_of(each).hosts == frozenset()
        (finding,) = found(each)
        assert (finding.code, finding.level, finding.field) == ("FG0614", "warning", "spec")
        assert "c1: Service a/s stands for the host" in finding.message


@pytest.mark.parametrize("host", ["example.com", "svc.example.com", "a.svc.example.com", "pod.example.org"])
def test_other_names_are_looked_up(host: str) -> None:
    assert refused_name(host) == ""


def test_a_port_of_the_cluster_itself_is_refused() -> None:
    (finding,) = found([external(HOST, {"port": 80, "targetPort": 10250})])
    assert finding.code == "FG0614"
    assert "kubelet" in finding.message


def test_addresses_of_a_host_are_judged_like_endpoints() -> None:
    hosts = {f"{HOST}.": HostAddresses(("127.0.0.1", "169.254.169.254", "192.0.2.1", "64:ff9b::a9fe:a9fe"))}
    assert endpoints(resolve([external()], hosts=hosts)) == [("192.0.2.1", 80)]
    findings = found([external()], hosts)
    assert [finding.code for finding in findings] == ["FG0609"] * 3
    assert "127.0.0.1" in findings[0].message


def test_a_host_that_is_the_gateway_itself_is_no_endpoint() -> None:
    own = OwnSockets(Facts(own_addresses=frozenset(("192.0.2.1",))), (80,))
    resolution = resolver_of([external()], own=own).resolve("a/s:80")
    assert endpoints(resolution) == [("192.0.2.2", 80)]
    ((_, trouble),) = resolution.troubles
    assert "listener of this gateway" in trouble.cause


def test_a_name_without_an_address_is_told_once_it_was_asked_for() -> None:
    assert found([external()], {}) == []
    (finding,) = found([external()], {f"{HOST}.": HostAddresses(problem="no such name")})
    assert finding.code == "FG0608"
    assert "c1 gets no requests for it" in finding.message
    (finding,) = found([external()], {f"{HOST}.": HostAddresses(("192.0.2.1",), "no answer")})
    assert "last known addresses stay in use" in finding.message


@pytest.mark.parametrize("found_now", [{}, {f"{HOST}.": HostAddresses(problem="no answer")}])
def test_endpoints_of_hosts_stay_until_there_is_an_address(found_now: dict[str, HostAddresses]) -> None:
    before = (Endpoint("192.0.2.9", 80), Endpoint("192.0.2.9", 81))
    for pods, expected in ((False, [("192.0.2.9", 80)]), (True, [])):
        kept = Service("a/s:80", (ClusterEndpoints("c1", before, pods=pods),))
        resolver = resolver_of([external()], found_now, previous=Snapshot(version=1, services=(kept,)))
        assert endpoints(resolver.resolve("a/s:80")) == expected


def test_a_translation_asks_for_the_names_and_serves_their_addresses() -> None:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    web = {
        "kind": "Ingress",
        "metadata": {"namespace": "a", "name": "web"},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": paths}}]},
    }
    case: dict[str, Any] = {
        "gateway": {"port": 80},
        "fleet": [web],
        "members": {"cluster-1": {"objects": [external()]}, "cluster-2": {"pods": {"a/s": 1}}},
    }
    first = run_case(case)
    assert first.hosts == {f"{HOST}."}
    case["facts"] = {"hosts": {f"{HOST}.": {"addresses": ["192.0.2.1"]}}}
    (served,) = run_case(case).snapshot.services
    assert served.clusters == (
        ClusterEndpoints("cluster-1", (Endpoint("192.0.2.1", 80),), pods=False),
        ClusterEndpoints("cluster-2", (Endpoint("10.0.2.1", 8080),)),
    )
