"""Verdicts onto a snapshot."""

from msgspec.structs import replace

from controlplane.checks import with_verdicts
from controlplane.publish.delta import endpoint_delta
from proxy.model.snapshot import Endpoint, HealthCheck, Service, Snapshot
from tests.support.snapshots import service, snapshot

CHECK = HealthCheck()
CHECKED = replace(service({"c1": [("10.0.0.1", 1), ("10.0.0.2", 1)], "c2": [("10.0.0.1", 1)]}), health=CHECK)


def of(*services: Service) -> Snapshot:
    return replace(snapshot(80, {}), services=services)


def failing(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    return [
        (service.id, group.cluster, endpoint.address)
        for service in snapshot.services
        for group in service.clusters
        for endpoint in group.endpoints
        if endpoint.failing
    ]


def first_fails(endpoint: Endpoint, check: HealthCheck) -> bool:
    return endpoint.address == "10.0.0.1"


def test_a_verdict_is_a_change_of_endpoints_only() -> None:
    plain = of(CHECKED, service({"c1": [("10.0.0.1", 1)]}, "demo/unchecked:80"))
    judged = with_verdicts(plain, first_fails)
    assert failing(judged) == [(CHECKED.id, "c1", "10.0.0.1"), (CHECKED.id, "c2", "10.0.0.1")]
    assert endpoint_delta(plain, judged) == (judged.services[0],)
    assert judged.services[1] is plain.services[1]
    assert judged.routes is plain.routes


def test_verdicts_of_an_earlier_life_do_not_stay() -> None:
    plain = of(CHECKED)
    judged = with_verdicts(plain, first_fails)
    assert with_verdicts(judged, lambda *_: False) == plain
    unchecked = of(replace(judged.services[0], health=None))
    assert failing(with_verdicts(unchecked, first_fails)) == []


def test_an_unchanged_snapshot_stays_the_same_object() -> None:
    judged = with_verdicts(of(CHECKED), first_fails)
    assert with_verdicts(judged, first_fails) is judged
