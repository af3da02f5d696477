"""ServerGroups: what a reference to one leads to, and which addresses it has."""

from typing import Any

import pytest

from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.model import Facts, HostAddresses, LastGood
from controlplane.translate.servergroups import ServerGroups, build_groups
from proxy.model.actions import Destination, Share, Split, SplitMode
from proxy.model.snapshot import ClusterEndpoints, Endpoint, HealthCheck, Service, Snapshot
from tests.support.translation import Manifest, fleet_of

IDC = "servergroup:demo/idc"


def group(
    name: str = "idc", *servers: Manifest, created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> Manifest:
    metadata = {"namespace": "demo", "name": name, "creationTimestamp": created}
    return {"kind": "ServerGroup", "metadata": metadata, "spec": {"servers": list(servers), **spec}}


def server(address: str, port: int = 80, **more: Any) -> Manifest:
    return {"address": address, "port": port, **more}


def built(
    *manifests: Manifest,
    last_good: LastGood | None = None,
    previous: Snapshot | None = None,
    **facts: Any,
) -> ServerGroups:
    return build_groups(fleet_of(manifests), Facts(**facts), last_good or LastGood(), previous)


def ask(groups: ServerGroups, reference: str, namespace: str = "demo") -> tuple[Destination, list[str]]:
    findings = Findings(Subject("Ingress", namespace, "web"))
    destination = groups.resolve(namespace, reference)
    groups.check(namespace, reference, "at", "nothing comes of it", findings)
    return destination, [item.text for item in findings.items]


def codes(groups: ServerGroups) -> list[tuple[str, str]]:
    return [(item.code, item.field) for findings in groups.findings for item in findings.items]


def endpoints(groups: ServerGroups, service_id: str = IDC) -> dict[str, dict[str, int]]:
    """Return the weights by zone and "address port"."""
    return {
        part.cluster: {f"{point.address} {point.port}": point.weight for point in part.endpoints}
        for part in groups.services[service_id].clusters
    }


def test_a_group_is_referred_to_by_its_id_or_name_in_its_own_namespace() -> None:
    groups = built(group("idc", server("10.1.0.1"), id="sgp-1"), group("sgp-2", server("10.1.0.2")))
    split = Split(SplitMode.ENDPOINTS, (Share("zone:default"),))
    assert ask(groups, "sgp-1") == (Destination(IDC, split), [])
    assert ask(groups, "idc") == (Destination(IDC, split), [])
    assert ask(groups, "sgp-2") == (Destination("servergroup:demo/sgp-2", split), [])
    for reference, namespace, hint in (("sgp-l", "demo", "did you mean"), ("sgp-1", "other", "")):
        destination, (text,) = ask(groups, reference, namespace)
        assert destination.split == Split(SplitMode.ENDPOINTS, ())
        assert destination.service == f"servergroup:{namespace}/{reference}"
        assert text.startswith(f'FG0607 at: "{reference}": no ServerGroup of the namespace {namespace}')
        assert hint in text
        assert "; nothing comes of it" in text


def test_an_id_belongs_to_the_oldest_group_that_has_it() -> None:
    older = group("older", server("10.1.0.1"), id="sgp-1", created="2026-01-01T00:00:00Z")
    newer = group("idc", server("10.1.0.2"), id="sgp-1", created="2026-01-02T00:00:00Z")
    groups = built(newer, older)
    assert ask(groups, "sgp-1")[0].service == "servergroup:demo/older"
    assert codes(groups) == [("FG0612", "spec.id")]


def test_all_zones_serve_together_by_weight_without_an_order() -> None:
    groups = built(
        group(
            "idc",
            server("10.1.0.1", weight="30", zone="a"),
            server("fd00::1", 8080, zone="b"),
            server("10.1.0.3", weight=0, zone="b"),
        )
    )
    assert endpoints(groups) == {
        "zone:a": {"10.1.0.1 80": 30},
        "zone:b": {"10.1.0.3 80": 0, "fd00::1 8080": 100},
    }
    assert ask(groups, "idc")[0].split == Split(SplitMode.ENDPOINTS, (Share("zone:a"), Share("zone:b")))
    assert codes(groups) == []


def test_zones_serve_in_their_order_and_those_not_named_last() -> None:
    servers = [server(f"10.1.0.{number}", zone=zone) for number, zone in enumerate("abcd", start=1)]
    groups = built(group("idc", *servers, failover=["c", "a", "x"]))
    split = ask(groups, "idc")[0].split
    assert split is not None
    assert {share.cluster: share.priority for share in split.shares} == {
        "zone:a": 1,
        "zone:b": 2,
        "zone:c": 0,
        "zone:d": 2,
    }
    assert codes(groups) == [("FG0611", "spec.failover[2]")]


def test_the_addresses_of_a_host_name_share_its_weight_exactly() -> None:
    groups = built(
        group("idc", server("many.example", weight=10), server("two.example"), server("10.1.0.9", zone="b")),
        hosts={
            "many.example": HostAddresses(("10.2.0.1", "10.2.0.2", "fd00::3")),
            "two.example": HostAddresses(("10.2.0.1", "10.2.0.4")),
        },
    )
    # 10, 100 and 100 times 6; 10.2.0.1 is in both.
    assert endpoints(groups) == {
        "zone:default": {
            "10.2.0.1 80": 20 + 300,
            "10.2.0.2 80": 20,
            "10.2.0.4 80": 300,
            "fd00::3 80": 20,
        },
        "zone:b": {"10.1.0.9 80": 600},
    }
    assert groups.hosts == {"many.example", "two.example"}


def test_a_host_name_that_is_not_resolved_keeps_the_endpoints_it_had() -> None:
    before = Service(
        IDC,
        (
            ClusterEndpoints("zone:a", (Endpoint("10.9.0.1", 80), Endpoint("10.9.0.2", 81))),
            ClusterEndpoints("zone:b", (Endpoint("10.9.0.3", 80),)),
        ),
    )
    manifest = group("idc", server("a.example", zone="a"), server("10.1.0.1", zone="b"))
    previous = Snapshot(version=1, services=(before,))
    kept = {"zone:a": {"10.9.0.1 80": 100}, "zone:b": {"10.1.0.1 80": 100}}
    for hosts in ({}, {"a.example": HostAddresses(problem="no DNS server")}):
        groups = built(manifest, previous=previous, hosts=hosts)
        assert endpoints(groups) == kept
        assert codes(groups) == [("FG0608", "spec.servers[0].address")] * len(hosts)
    known = {"a.example": HostAddresses(("10.9.0.7",), "no DNS server")}
    assert endpoints(built(manifest, previous=previous, hosts=known)) == {
        "zone:a": {"10.9.0.7 80": 100},
        "zone:b": {"10.1.0.1 80": 100},
    }


def test_addresses_that_a_name_resolves_to_are_checked_like_any_other() -> None:
    addresses = ("10.2.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:169.254.169.254")
    manifest = group("idc", server("evil.example"))
    groups = built(manifest, hosts={"evil.example": HostAddresses(addresses)})
    assert [*endpoints(groups)["zone:default"]] == ["10.2.0.1 80"]
    assert codes(groups) == [("FG0609", "spec.servers[0].address")] * 4
    allowed = built(manifest, hosts={"evil.example": HostAddresses(("127.0.0.1",))}, allow_loopback=True)
    assert [*endpoints(allowed)["zone:default"]] == ["127.0.0.1 80"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"protocol": "gRPC"}, "spec.protocol"),
        ({"servers": [server("169.254.169.254")]}, "spec.servers[0].address"),
        ({"servers": [server("127.0.0.1")]}, "spec.servers[0].address"),
        ({"servers": [server("100.100.100.200")]}, "spec.servers[0].address"),
        ({"servers": [server("10.1.0.1:80")]}, "spec.servers[0].address"),
        ({"servers": [server("127.1")]}, "spec.servers[0].address"),
        ({"servers": [server("*.example.com")]}, "spec.servers[0].address"),
        ({"servers": [server("")]}, "spec.servers[0].address"),
        ({"servers": [server("a b")]}, "spec.servers[0].address"),
        ({"servers": [{"address": "10.1.0.1"}]}, "spec.servers[0].port"),
        ({"servers": [server("10.1.0.1", 0)]}, "spec.servers[0].port"),
        ({"servers": [server("10.1.0.1", 10250)]}, "spec.servers[0].port"),
        ({"servers": [server("10.1.0.1", weight=101)]}, "spec.servers[0].weight"),
        ({"servers": [server("10.1.0.1", zone="a:b")]}, "spec.servers[0].zone"),
        ({"servers": [server("10.1.0.1"), server("10.1.0.1")]}, "spec.servers[1]"),
        ({"servers": [server("10.1.0.1")], "failover": ["default"] * 2}, "spec.failover[1]"),
        ({"healthCheck": {"protocol": "GRPC"}}, "spec.healthCheck.protocol"),
        ({"healthCheck": {"method": "POST"}}, "spec.healthCheck.method"),
        ({"healthCheck": {"path": "x"}}, "spec.healthCheck.path"),
        ({"healthCheck": {"path": "/a b"}}, "spec.healthCheck.path"),
        ({"healthCheck": {"path": "/a\r\nhost:x"}}, "spec.healthCheck.path"),
        ({"healthCheck": {"host": "x\r\ny"}}, "spec.healthCheck.host"),
        ({"healthCheck": {"codes": ["http_2xx", "200"]}}, "spec.healthCheck.codes[1]"),
        ({"healthCheck": {"intervalSeconds": 51}}, "spec.healthCheck.intervalSeconds"),
        ({"healthCheck": {"timeoutSeconds": 0}}, "spec.healthCheck.timeoutSeconds"),
        ({"healthCheck": {"healthyThreshold": 1}}, "spec.healthCheck.healthyThreshold"),
        ({"healthCheck": {"unhealthyThreshold": "x"}}, "spec.healthCheck.unhealthyThreshold"),
        ({"healthCheck": {"port": 65536}}, "spec.healthCheck.port"),
        ({"healthCheck": {"port": 2379}}, "spec.healthCheck.port"),
    ],
)
def test_a_bad_edit_leaves_the_last_good_version_live(spec: dict[str, Any], field: str) -> None:
    good = built(group("idc", server("10.1.0.7"), healthCheck={}))
    kept = LastGood(server_groups=dict(good.good))
    groups = built(group("idc", **{"servers": [server("10.1.0.8")], **spec}), last_good=kept)
    assert endpoints(groups) == {"zone:default": {"10.1.0.7 80": 100}}
    assert groups.good == good.good
    (finding,) = next(groups.findings).items
    assert (finding.code, finding.field) == ("FG0605", field)
    assert finding.message.endswith("the last good version stays live")
    assert finding.allowed


def test_of_a_new_group_with_a_bad_server_the_others_are_used() -> None:
    groups = built(group("idc", server("10.1.0.1", 0), server("10.1.0.2")))
    assert endpoints(groups) == {"zone:default": {"10.1.0.2 80": 100}}
    assert groups.good == {}
    plain = built(group("idc", server("10.1.0.1"), protocol="gRPC"))
    assert plain.services[IDC].clusters == ()


def test_a_group_that_cannot_be_read_keeps_its_last_good_version() -> None:
    good = built(group("idc", server("10.1.0.7")))
    broken = group("idc", server("10.1.0.8"))
    broken["spec"]["servers"] = "x"
    kept = built(broken, last_good=LastGood(server_groups=dict(good.good)))
    assert endpoints(kept) == {"zone:default": {"10.1.0.7 80": 100}}
    assert codes(kept) == [("FG0100", "")]
    assert built(broken).groups == {}


def test_health_checks_have_the_defaults_of_the_annotations() -> None:
    assert built(group("idc", server("10.1.0.1"))).services[IDC].health is None
    assert built(group("idc", healthCheck={"enabled": False})).services[IDC].health is None
    assert built(group("idc", healthCheck={})).services[IDC].health == HealthCheck()
    assert built(group("idc", healthCheck={"protocol": "HTTPS"})).services[IDC].health is None
    asked = {
        "protocol": "TCP",
        "method": "GET",
        "path": "/health",
        "host": "idc.example:8443",
        "port": "8081",
        "codes": ["http_3xx", "http_2xx"],
        "intervalSeconds": 1,
        "timeoutSeconds": 2,
        "healthyThreshold": 4,
        "unhealthyThreshold": 5,
    }
    expected = HealthCheck("TCP", "GET", "/health", 8081, (2, 3), 1.0, 2.0, 4, 5, host="idc.example:8443")
    assert built(group("idc", healthCheck=asked)).services[IDC].health == expected


def test_the_resolver_of_services_knows_groups_too() -> None:
    groups = built(group("idc", server("10.1.0.1")))
    resolver = ServiceResolver({}, [], server_groups=groups.services)
    assert resolver.resolve(IDC).service == groups.services[IDC]
    assert resolver.resolve("servergroup:demo/x").service == Service("servergroup:demo/x", ())
