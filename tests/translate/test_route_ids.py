"""The id of a route says what the route is; where it stands among others has no part in it."""

import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.resources.meta import ObjectMeta
from controlplane.translate.plan import DEFAULT_BACKEND, PlannedForward, PlannedRoute
from controlplane.translate.routeids import MAX_LENGTH, with_ids
from proxy.model.conditions import Condition, CookieCondition, HeaderCondition, MethodCondition
from proxy.model.snapshot import PathKind, PathMatch
from tests.support.translation import run_case

GRAY = HeaderCondition("stage", ("gray",))
EITHER = HeaderCondition("stage", ("gray", "blue"))


def planned(
    path: str = "/", host: str = "shop.example.com", kind: PathKind = PathKind.PREFIX, *conditions: Condition,
    ignore_case: bool = False, field: str = "spec.rules[0]",
) -> PlannedRoute:  # fmt: skip
    return PlannedRoute(field, host, PathMatch(kind, path, ignore_case), PlannedForward(()), conditions, 10)


def ids(*routes: PlannedRoute, name: str = "web") -> list[str]:
    return [route.id for route in with_ids(ObjectMeta(name, "shop"), routes)]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (planned(), "shop/web/shop.example.com/"),
        (planned("/cart"), "shop/web/shop.example.com/cart"),
        (planned("/cart", "*.example.com"), "shop/web/*.example.com/cart"),
        (planned("/cart", ""), "shop/web/*/cart"),
        (planned("/", "", field=DEFAULT_BACKEND), "shop/web/*/:default"),
        (planned("/cart", kind=PathKind.EXACT), "shop/web/shop.example.com/cart:exact"),
        (planned("/cart", ignore_case=True), "shop/web/shop.example.com/cart:prefix-i"),
        (planned("/*.png", kind=PathKind.GLOB), "shop/web/shop.example.com/*.png:glob"),
        (planned("^/v[0-9]+", kind=PathKind.REGEX), "shop/web/shop.example.com:^/v[0-9]+:regex"),
        (planned('/a b:"%é\\'), "shop/web/shop.example.com/a%20b%3A%22%25%C3%A9%5C"),
    ],
)
def test_an_id_reads_like_the_rule(route: PlannedRoute, expected: str) -> None:
    assert ids(route) == [expected]


def test_conditions_are_named_by_kind_and_told_apart_by_a_hash() -> None:
    method = MethodCondition(("GET",))
    plain, gray, both = ids(
        planned("/"),
        planned("/", "a", PathKind.PREFIX, GRAY),
        planned("/", "a", PathKind.EXACT, GRAY, method),
    )
    assert plain == "shop/web/shop.example.com/"
    assert gray.startswith("shop/web/a/:header-")
    assert both.startswith("shop/web/a/:exact:header+method-")
    pairs: list[Condition] = [
        CookieCondition((("a", "b"),)),
        CookieCondition((("b", "a"),)),
        GRAY,
        EITHER,
        method,
    ]
    assert len(set(ids(*(planned("/", "a", PathKind.PREFIX, each) for each in pairs)))) == len(pairs)


def test_the_order_of_conditions_and_of_their_values_does_not_count() -> None:
    method = MethodCondition(("GET", "PUT"))
    turned = HeaderCondition("stage", ("blue", "gray")), MethodCondition(("PUT", "GET"))
    one = planned("/", "a", PathKind.PREFIX, EITHER, method)
    other = planned("/", "a", PathKind.PREFIX, turned[1], turned[0])
    assert ids(one) == ids(other)


def test_of_routes_that_are_alike_the_one_that_is_taken_has_the_plain_name() -> None:
    assert ids(planned("/a"), planned("/b"), planned("/a"), planned("/a")) == [
        "shop/web/shop.example.com/a", "shop/web/shop.example.com/b",
        "shop/web/shop.example.com/a:2", "shop/web/shop.example.com/a:3",
    ]  # fmt: skip


def test_long_ids_are_cut_and_stay_apart() -> None:
    paths = ["/" + "x" * length for length in range(150, 900, 50)]
    named = ids(*map(planned, paths))
    assert len(set(named)) == len(paths)
    assert all(len(name) <= MAX_LENGTH for name in named)
    assert all(name.startswith("shop/web/shop.example.com/xxx") for name in named)


PATHS = st.text(st.sampled_from(":%/~*\\ =aé2"), max_size=6).map(lambda text: f"/{text}")
ROUTES = st.builds(
    lambda path, host, kind, conditions, ignore_case: planned(
        path, host, kind, *conditions, ignore_case=ignore_case
    ),
    PATHS | st.sampled_from(["^/a", "a"]),
    st.sampled_from(["", "a", "a.b", "*.b"]),
    st.sampled_from(PathKind),
    st.lists(st.sampled_from([GRAY, EITHER, MethodCondition(("GET",))]), unique=True, max_size=2),
    st.booleans(),
)


@given(st.lists(ROUTES, max_size=8), st.randoms(use_true_random=False))
def test_ids_are_unique_plain_and_do_not_depend_on_the_order(
    routes: list[PlannedRoute], order: random.Random
) -> None:
    named = ids(*routes)
    assert len(set(named)) == len(named)
    assert all(set(name) <= set(string.printable) - set(string.whitespace) - {'"', "\\"} for name in named)
    shuffled = order.sample(routes, len(routes))
    assert sorted(named) == sorted(ids(*shuffled))


def shop(*paths: dict[str, Any], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "shop", "name": "web", "annotations": annotations or {}},
        "spec": {
            "ingressClassName": "alb",
            "rules": [{"host": "shop.example.com", "http": {"paths": list(paths)}}],
        },
    }


def path(value: str, service: str = "web", kind: str = "Prefix") -> dict[str, Any]:
    return {
        "path": value,
        "pathType": kind,
        "backend": {"service": {"name": service, "port": {"number": 80}}},
    }


def translated(ingress: dict[str, Any]) -> dict[str, str]:
    """Return the path of each route by its id."""
    case = {
        "gateway": {"port": 80},
        "fleet": [ingress],
        "members": {"cluster-1": {"pods": {"shop/web": 1, "shop/other": 1}}},
    }
    return {route.id: route.path.value for route in run_case(case).snapshot.routes}


def test_a_rule_that_is_put_in_front_renames_no_other() -> None:
    before = translated(shop(path("/a"), path("/b"), path("/c", kind="Exact")))
    inserted = translated(shop(path("/new"), path("/a"), path("/b"), path("/c", kind="Exact")))
    assert before.items() < inserted.items()
    assert translated(shop(path("/c", kind="Exact"), path("/b"), path("/a"))) == before
    assert translated(shop(path("/b"), path("/c", kind="Exact"))).items() < before.items()


def test_the_action_of_a_route_is_no_part_of_its_id() -> None:
    before = translated(shop(path("/a")))
    weights = {f"alb.ingress.kubernetes.io/cluster-weight.cluster-{n}": "50" for n in (1, 2)}
    assert translated(shop(path("/a", "other"), annotations=weights)) == before
