"""What differs between routes: by what they match, not by where they stand."""

from typing import Any

import pytest
from msgspec.structs import replace

from controlplane.translate.changes import Aspect, changed_listeners, changed_routes, changed_services
from proxy.model.actions import Backend, Failback, FixedResponse, Forward, Share, Split, SplitMode
from proxy.model.conditions import HeaderCondition
from proxy.model.policies import Policies, Retry
from proxy.model.snapshot import (
    ClusterEndpoints,
    Endpoint,
    HealthCheck,
    Listener,
    PathKind,
    PathMatch,
    Route,
    Service,
    Source,
)

SPLIT = Split(SplitMode.WEIGHTS, (Share("c1", 80), Share("c2", 20)))
FORWARD = Forward((Backend("shop/web:80"),), SPLIT)


def route(number: int, path: str, **fields: Any) -> Route:
    return Route(
        id=f"shop/web/0/{number}",
        source=fields.pop("source", Source("Ingress", "shop", "web", 1)),
        ports=(80,),
        host="shop.demo",
        path=PathMatch(PathKind.PREFIX, path),
        action=fields.pop("action", FORWARD),
        **fields,
    )


def changes(before: list[Route], after: list[Route]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (change.kind, change.route.path.value, tuple(aspect.name for aspect in change.aspects))
        for change in changed_routes(before, after)
    ]


def test_a_rule_put_in_front_changes_no_other() -> None:
    before = [route(0, "/a"), route(1, "/b")]
    after = [route(0, "/new"), route(1, "/a"), route(2, "/b")]
    assert changes(before, after) == [("added", "/new", ())]
    assert changes(after, before) == [("removed", "/new", ())]


def test_generation_and_age_are_no_change() -> None:
    newer = route(0, "/a", source=Source("Ingress", "shop", "web", 9), created="2026-01-01T00:00:00Z")
    assert changes([route(0, "/a")], [newer]) == []


def test_the_same_place_with_another_path_is_a_change_of_it() -> None:
    (change,) = changed_routes([route(0, "/a")], [route(0, "/b")])
    assert (change.kind, change.aspects) == ("changed", (Aspect("path", "/a prefix", "/b prefix"),))


def test_another_ingress_is_another_route() -> None:
    other = route(0, "/a", source=Source("Ingress", "shop", "other"))
    assert changes([route(0, "/a")], [other]) == [("added", "/a", ()), ("removed", "/a", ())]


def test_rules_that_match_the_same_are_paired_in_their_order() -> None:
    two = [route(0, "/a"), route(1, "/a", order=3)]
    assert changes(two, [route(0, "/a"), route(1, "/a", order=4)]) == [("changed", "/a", ("order",))]


@pytest.mark.parametrize(
    ("changed", "aspect"),
    [
        ({"ports": (80, 81)}, Aspect("ports", "80", "80, 81")),
        ({"order": 3}, Aspect("order", "10", "3")),
        (
            {"conditions": (HeaderCondition("stage", ("gray",)),)},
            Aspect("conditions", "", '[{"type":"header","name":"stage","patterns":["gray"]}]'),
        ),
        (
            {"action": replace(FORWARD, backends=(Backend("a/b:80", 30), Backend("a/c:80", 70)))},
            Aspect("backends", "shop/web:80 100", "a/b:80 30, a/c:80 70"),
        ),
        (
            {"action": replace(FORWARD, split=Split(SplitMode.ENDPOINTS, (Share("c1"), Share("c2"))))},
            Aspect("split", "c1 80, c2 20", "c1, c2 by endpoints"),
        ),
        (
            {"action": replace(FORWARD, split=replace(SPLIT, failover=False))},
            Aspect("split", "c1 80, c2 20", "c1 80, c2 20, no failover"),
        ),
        ({"policies": Policies(retry=Retry(tries=1))}, Aspect("retry", "", '{"tries":1}')),
        ({"policies": Policies(response_timeout_s=2.5)}, Aspect("response_timeout_s", "", "2.5")),
    ],
)
def test_each_part_of_a_route_is_an_aspect(changed: dict[str, Any], aspect: Aspect) -> None:
    before = route(0, "/a")
    (change,) = changed_routes([before], [replace(before, **changed)])
    assert change.aspects == (aspect,)


def test_another_kind_of_action_is_told_as_one() -> None:
    (change,) = changed_routes([route(0, "/a")], [route(0, "/a", action=FixedResponse(503))])
    assert {aspect.name: aspect.after for aspect in change.aspects} == {
        "backends": "",
        "split": "",
        "answer": '{"type":"fixed","status":503}',
    }


def test_listeners_are_compared_without_their_age() -> None:
    old, new = (Listener(80, Source("AlbConfig", "", "gw", generation)) for generation in (1, 2))
    assert changed_listeners([old], [new]) == ()
    added = changed_listeners([old], [new, Listener(81, new.source)])
    assert [(aspect.name, aspect.before) for aspect in added] == [("listener 81", "")]


def test_server_groups_are_compared_by_their_endpoints() -> None:
    one = Service("servergroup:shop/ext", (ClusterEndpoints("zone-a", (Endpoint("10.0.0.1", 80),)),))
    two = replace(one, clusters=(ClusterEndpoints("zone-a", (Endpoint("10.0.0.2", 80, weight=5),)),))
    (aspect,) = changed_services([one], [two, replace(one, id="new")])
    assert aspect == Aspect("service servergroup:shop/ext", "zone-a 10.0.0.1:80 100", "zone-a 10.0.0.2:80 5")


def test_services_are_compared_by_their_checks() -> None:
    pods = ClusterEndpoints("c1", (Endpoint("10.0.0.1", 80),))
    one, none = Service("shop/web:80", (pods,)), Service("shop/web:80", ())
    checked = replace(one, health=HealthCheck())
    by_tcp = replace(none, health=HealthCheck(protocol="TCP"))
    assert changed_services([one], [none]) == ()
    for old, new, before, after in (
        (one, checked, "", "checks by default"),
        (checked, by_tcp, "checks by default", 'checks {"protocol":"TCP"}'),
    ):
        assert changed_services([old], [new]) == (Aspect("service shop/web:80", before, after),)


@pytest.mark.parametrize("name", ["shop/web:80", "servergroup:shop/web"])
def test_verdicts_are_no_change(name: str) -> None:
    one, other = (
        Service(name, (ClusterEndpoints("c1", (Endpoint("10.0.0.1", 80, failing=failing),)),), HealthCheck())
        for failing in (False, True)
    )
    assert changed_services([one], [other]) == ()


def test_another_way_back_is_a_change_of_the_split() -> None:
    def divided(failback: Failback | None) -> Route:
        return route(0, "/a", action=Forward((Backend("shop/web:80"),), replace(SPLIT, failback=failback)))

    by_hand = divided(Failback("shop/web", manual=True))
    (change,) = changed_routes([divided(Failback("shop/web", delay_s=30.0, ramp_s=1.5))], [by_hand])
    (aspect,) = change.aspects
    assert aspect.before == "c1 80, c2 20, failback auto(30s, 1.5s)"
    assert aspect.after == "c1 80, c2 20, failback manual"
    (change,) = changed_routes([divided(None)], [by_hand])
    assert change.aspects[0].before == "c1 80, c2 20"
