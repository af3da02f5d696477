"""A snapshot that workers refuse is told on the objects that may be the cause."""

from controlplane.resources.kinds import INGRESSES
from controlplane.translate.model import ObjectStatus
from controlplane.translate.refusals import MOST, refusal_findings
from proxy.model.snapshot import Snapshot
from tests.support.snapshots import route, snapshot

PORT = 80


def routed(*names: str, path: str = "/") -> Snapshot:
    return snapshot(PORT, {}, *(route(PORT, f"{path}{name}", name=name) for name in names))


def told(reason: str, served: Snapshot | None, refused: Snapshot, *names: str) -> list[str]:
    statuses = [ObjectStatus(INGRESSES, "demo", name, f"uid-{name}", {}) for name in names]
    found = refusal_findings(reason, served, refused, statuses)
    assert {each.code for each in found} <= {"FG0801"}
    return [each.name for each in found]


def test_the_route_that_the_reason_names_is_told() -> None:
    refused = routed("one", "two")
    named = refused.routes[1]
    assert told(f"route {named.id}: is bad", None, refused, "one", "two") == ["two"]


def test_without_a_name_what_has_changed_is_told() -> None:
    served, refused = routed("one", "two"), routed("one", "two", "three")
    assert told("out of memory", served, refused, "one", "two", "three") == ["three"]
    assert told("out of memory", None, refused, "one", "two", "three") == ["one", "two", "three"]


def test_an_object_without_a_status_is_not_told() -> None:
    assert told("out of memory", None, routed("one", "two"), "two") == ["two"]


def test_the_listener_that_the_reason_names_is_told() -> None:
    refused = routed("one")
    (listener,) = refused.listeners
    name = listener.source.name
    assert told(f"listener {listener.name}: is taken", refused, refused, name) == [name]


def test_no_more_than_some_are_told() -> None:
    names = [f"n{number:02}" for number in range(MOST + 5)]
    assert told("out of memory", None, routed(*names), *names) == names[:MOST]
