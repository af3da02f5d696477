"""Objects in the place of those that a Fleet holds."""

from msgspec.structs import replace

from controlplane.resources.ingress import Ingress
from controlplane.resources.meta import ObjectMeta
from controlplane.resources.overlay import overlaid
from controlplane.resources.view import FleetObjects, Malformed

LIVE = Ingress(ObjectMeta("web", "shop", "uid-1", generation=3, creation_timestamp="2026-01-01T00:00:00Z"))
GIVEN = Ingress(ObjectMeta("web", "shop", annotations={"a": "1"}))


def test_an_object_keeps_its_identity_and_age() -> None:
    merged = overlaid(FleetObjects({"shop/web": LIVE}), FleetObjects({"shop/web": GIVEN})).ingresses[
        "shop/web"
    ]
    metadata = merged.metadata
    assert (metadata.uid, metadata.generation, metadata.annotations) == ("uid-1", 3, {"a": "1"})
    assert metadata.creation_timestamp == "2026-01-01T00:00:00Z"


def test_a_new_object_is_younger_than_all_others() -> None:
    merged = overlaid(FleetObjects(), FleetObjects({"shop/web": GIVEN})).ingresses["shop/web"]
    assert merged.metadata.creation_timestamp > "2999"


def test_objects_that_cannot_be_read_take_part_too() -> None:
    bad, other = (
        Malformed("Ingress", "shop", "web", "uid-1", "bad"),
        Malformed("Ingress", "shop", "x", "", "bad"),
    )
    assert overlaid(FleetObjects(malformed=(bad, other)), FleetObjects({"shop/web": GIVEN})).malformed == (
        other,
    )
    kept = overlaid(FleetObjects({"shop/web": LIVE}), FleetObjects(malformed=(bad,)))
    assert (kept.malformed, dict(kept.ingresses)) == ((bad,), {})
    nameless = replace(bad, uid="")
    assert overlaid(FleetObjects({"shop/web": LIVE}), FleetObjects(malformed=(nameless,))).malformed == (bad,)
