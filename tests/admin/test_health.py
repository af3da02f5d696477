"""Readiness is about this gateway, not about member clusters."""

from msgspec.structs import replace

from controlplane.admin.health import readiness, report
from controlplane.kube.cluster import ClusterHealth
from controlplane.publish import Rejection
from tests.support.states import serving


def failed(**changes: object) -> list[str]:
    return [check.name for check in readiness(replace(serving(), **changes)) if not check.passed]


def test_a_serving_gateway_is_ready() -> None:
    assert failed() == []
    assert report(readiness(serving())).splitlines() == [
        "[+]draining ok: no",
        "[+]snapshot ok: version 7 from the Fleet",
        "[+]workers ok: snapshot applied on 2/2 workers",
        "[+]listeners ok: 1/1 bound",
        "readyz check passed",
    ]


def test_members_that_are_down_are_no_reason() -> None:
    down = ClusterHealth("cluster-1", attached=True, stale=True, last_error="refused")
    assert failed(clusters=(down,), fleet_synced=False, fleet_error="refused", from_disk=True) == []


def test_draining_is_a_reason() -> None:
    assert failed(draining=True) == ["draining"]


def test_without_a_snapshot_the_missing_fleet_is_named() -> None:
    state = replace(serving(), snapshot=None, applied_count=0, fleet_synced=False, fleet_error="refused")
    text = report(readiness(state))
    assert "none yet; waiting for the Fleet API server https://fleet:6443: refused" in text
    assert text.endswith("readyz check failed\n")


def test_a_first_snapshot_that_was_rejected_is_a_reason() -> None:
    rejection = Rejection(1, "bad regex")
    state = replace(serving(), snapshot=None, rejection=rejection)
    assert "rejected by the workers: bad regex" in report(readiness(state))


def test_at_start_all_workers_are_needed_and_later_one_is_enough() -> None:
    assert failed(applied_count=1, started=False) == ["workers"]
    assert failed(applied_count=1, started=True) == []
    assert failed(applied_count=0, started=True) == ["workers"]


def test_one_busy_port_of_several_is_reported_and_no_reason() -> None:
    assert failed(failed_ports={9999: "not in this snapshot"}) == []
    state = replace(serving(), failed_ports={8001: "port 8001 is in use"})
    assert "[-]listeners failed: 0/1 bound; port 8001 is in use" in report(readiness(state))
