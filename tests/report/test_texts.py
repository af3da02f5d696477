"""Messages of Events, and the value of the annotation."""

import json
from collections import Counter

from controlplane.observe.shortages import ClusterShare, ServiceShares
from controlplane.observe.timeline import Failover
from controlplane.report.texts import MAX_ANNOTATION, annotation_text, lost_text, returned_text

LOST = ServiceShares(
    {"a": ClusterShare(0.2, 0.75), "b": ClusterShare(0.8, 0.0, "breaker_open"), "c": ClusterShare(0.0, 0.25)},
    True,
)
DEAD = ServiceShares({"b": ClusterShare(1.0, 1.0, "no_endpoints")}, False)
FAILOVER = Failover("x", "b", 10.0, 52.0, reasons=Counter(refused=3), moved_to=Counter(a=12), lost=1)


def test_a_loss_names_share_reason_and_the_clusters_that_serve_instead() -> None:
    assert lost_text("b", {"x": LOST}, {"ejected": 2, "healthy": 1}, FAILOVER) == (
        "b does not get its 80 % of service x: the breaker of the cluster is open (2 of 3 ejected, refused);"
        " a serves 75 %, c serves 25 %"
    )


def test_where_no_cluster_serves_the_loss_says_so() -> None:
    assert lost_text("b", {"x": DEAD}, {}, None) == (
        "b does not get its 100 % of service x: the service has no endpoint in the cluster;"
        " no cluster can serve it"
    )


def test_where_another_service_serves_the_loss_says_so() -> None:
    gone = ServiceShares({"b": ClusterShare(1.0, 0.0, "no_endpoints")}, True)
    assert lost_text("b", {"x": gone}, {}, None).endswith("; another service takes its part")


def test_many_services_are_one_message() -> None:
    services = dict.fromkeys(("x", "y", "z", "u", "v", "w"), LOST)
    assert lost_text("b", services, {}, None).endswith("c serves 25 %; the same for y, z, u and 2 more")


def test_a_return_says_how_long_it_took_and_what_it_cost() -> None:
    assert returned_text("b", {"x": 0.8}, {}, 42.3, {"x": FAILOVER}) == (
        "b gets its 80 % of service x again after 42 s; 12 requests served by other clusters, 1 lost"
    )
    assert (
        returned_text("b", {"x": 1 / 3}, {}, 4.25, {}) == "b gets its 33.3 % of service x again after 4.2 s"
    )
    assert returned_text("b", {"x": 0.8}, {}, 9, {}, 40).endswith(
        "; 40 requests served by other clusters, 0 lost"
    )
    assert returned_text("b", {"x": 0.8}, {}, 9, {"x": FAILOVER}, 40).endswith(
        "; 40 requests served by other clusters, 1 lost"
    )
    partly = returned_text("b", {"x": 0.8}, {"x": 0.56, "y": 0.1}, 9, {})
    assert partly == "b gets 56 % of its 80 % of service x again after 9.0 s"
    assert returned_text("b", {"x": 1.0}, {}, 190, {}).endswith(" after 3 min 10 s")
    assert returned_text("b", {"x": 1.0}, {}, 7384, {}).endswith(" after 2 h 3 min")


def test_the_annotation_is_short_json_in_percent() -> None:
    assert annotation_text({"x": LOST}) == (
        '{"x":{"a":{"configured":20,"effective":75},'
        '"b":{"configured":80,"effective":0,"reason":"breaker_open"},'
        '"c":{"configured":0,"effective":25}}}'
    )


def test_an_annotation_has_as_many_services_as_there_is_room_for() -> None:
    text = annotation_text({f"service-{number:04}": LOST for number in range(1000)})
    assert MAX_ANNOTATION - 400 < len(text) <= MAX_ANNOTATION
    assert next(iter(json.loads(text))) == "service-0000"
