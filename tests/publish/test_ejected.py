"""What a worker that begins is told of endpoints."""

from controlplane.publish.ejected import MAX_AGE_S, Ejected
from proxy.model.channel import Ejection
from proxy.model.statistics import EndpointStats, Stats


def ejection(port: int, *, stalled: bool = False, unreachable: bool = False) -> Ejection:
    return Ejection("shop/web:80", "c1", "10.0.0.1", port, stalled, unreachable)


def report(**states: str) -> Stats:
    endpoints = tuple(
        EndpointStats("shop/web:80", "c1", "10.0.0.1", int(port[1:]), state, 0, 0, 0, 0, "")
        for port, state in states.items()
    )
    return Stats(1, (), (), (), endpoints, (), 0.0, 0)


def test_an_ejection_that_any_worker_reports_is_told_with_its_kind() -> None:
    ejected = Ejected()
    ejected.reported(0, report(p1="ejected", p2="healthy", p3="stalled"), 10.0)
    ejected.reported(1, report(p2="unreachable", p3="draining", p4="unhealthy"), 10.0)
    assert set(ejected.known(10.5)) == {
        ejection(1), ejection(3, stalled=True), ejection(2, unreachable=True)
    }  # fmt: skip


def test_a_told_ejection_counts_until_that_worker_reports() -> None:
    ejected = Ejected()
    ejected.told(0, (ejection(1), ejection(2)), 10.0)
    ejected.told(1, (ejection(3),), 10.0)
    assert len(ejected.known(10.1)) == 3
    ejected.reported(0, report(p1="healthy", p2="ejected"), 10.2)
    assert set(ejected.known(10.3)) == {ejection(2), ejection(3)}


def test_an_old_ejection_is_not_told() -> None:
    ejected = Ejected()
    ejected.reported(0, report(p1="ejected"), 10.0)
    ejected.told(1, (ejection(2),), 11.0)
    assert set(ejected.known(10.5 + MAX_AGE_S)) == {ejection(2)}
    assert ejected.known(11.5 + MAX_AGE_S) == ()
