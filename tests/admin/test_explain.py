"""POST /api/v1/explain: which route, why not the others, and what it leads to now."""

from typing import Any

import pytest
from msgspec.structs import replace
from msgspec.structs import replace as replaced

from proxy.model.actions import Backend, FixedResponse, Forward, Share, Split, SplitMode
from proxy.model.conditions import CookieCondition, HeaderCondition, MethodCondition, SourceCondition
from proxy.model.policies import Policies, RateLimit
from proxy.model.snapshot import (
    Cluster,
    ClusterEndpoints,
    Endpoint,
    Listener,
    PathKind,
    PathMatch,
    Route,
    Service,
    Snapshot,
    Source,
)
from tests.admin.test_api import client
from tests.support.states import SERVICE, serving, stats

GATEWAY = Source("AlbConfig", "", "gw", 7)
WEIGHTS = Split(SplitMode.WEIGHTS, (Share("cluster-1", 80), Share("cluster-2", 20), Share("cluster-3")))


def route(name: str, path: str, *conditions: Any, **fields: Any) -> Route:
    return Route(
        id=f"shop/{name}/0/0",
        source=Source("Ingress", "shop", name, 3),
        ports=(8001,),
        host="shop.demo",
        path=PathMatch(PathKind.PREFIX, path),
        action=fields.pop("action", Forward((Backend(SERVICE),), WEIGHTS)),
        conditions=conditions,
        **fields,
    )


ROUTES = (
    route("web", "/"),
    route("cart", "/cart"),
    route("gray", "/cart", HeaderCondition("stage", ("gray", "blue"))),
    route("first", "/cart/first", order=1, action=FixedResponse(503, "closed")),
)
SNAPSHOT = Snapshot(
    7,
    listeners=(Listener(8001, GATEWAY, response_timeout_s=30.0),),
    routes=ROUTES,
    services=(
        Service(
            SERVICE,
            tuple(
                ClusterEndpoints(cluster, (Endpoint("10.0.0.1", 8080),))
                for cluster in ("cluster-1", "cluster-2", "cluster-3")
            ),
        ),
    ),
    clusters=(Cluster("cluster-1"), Cluster("cluster-2"), Cluster("cluster-3")),
)


async def explained(*routes: Route, **question: Any) -> Any:
    states = {"cluster-1": "ejected", "cluster-2": "healthy", "cluster-3": "healthy"}
    state = replace(serving(stats(10, states)), snapshot=replaced(SNAPSHOT, routes=routes or ROUTES))
    async with client(state) as api:
        return (
            await api.post("/api/v1/explain", json={"url": "http://shop.demo:8001/cart/7"} | question)
        ).json()


async def test_the_route_that_is_taken_comes_first_and_the_others_say_why_not() -> None:
    found = await explained(headers=[["Stage", "gray"]])
    assert found["chosen"] == "shop/gray/0/0"
    assert [(each["id"], each["verdict"], each["reason"]) for each in found["considered"]] == [
        ("shop/gray/0/0", "chosen", ""),
        ("shop/cart/0/0", "lost", "matches, but it has fewer conditions (0 to 1)"),
        ("shop/web/0/0", "lost", "matches, but its path is shorter"),
        ("shop/first/0/0", "missed", 'path differs at "7"'),
    ]
    assert found["considered"][0]["conditions"] == ["header stage=gray or blue"]
    assert found["listener"]["source"]["generation"] == 7


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ((HeaderCondition("x", ("1",)),), "header x=1 does not hold: it has none"),
        ((HeaderCondition("stage", ("1",)),), "header stage=1 does not hold: found gray"),
        ((CookieCondition((("a", "1"), ("b", "2"))),), "cookie a=1 or b=2 does not hold: it has none"),
        ((MethodCondition(("PUT",)),), "method PUT does not hold: found GET"),
        ((SourceCondition(("10.0.0.0/8",)),), "source 10.0.0.0/8 does not hold: found 192.0.2.1"),
    ],
)
async def test_conditions_that_do_not_hold_say_what_was_found(conditions: Any, reason: str) -> None:
    found = await explained(
        route("only", "/cart", *conditions), headers=[["stage", "gray"]], client="192.0.2.1"
    )
    assert (found["chosen"], found["considered"][0]["reason"]) == (None, reason)
    assert found["answer"] == {"status": 404, "reason": "NR"}


async def test_shares_heal_and_endpoints_are_as_the_workers_see_them() -> None:
    answer = (await explained(ROUTES[0]))["answer"]
    (backend,) = answer["backends"]
    parts = {
        each["cluster"]: (each["configuredPercent"], each["effectivePercent"]) for each in backend["clusters"]
    }
    assert parts == {"cluster-1": (80.0, 0.0), "cluster-2": (20.0, 100.0), "cluster-3": (0.0, 0.0)}
    reasons = {each["cluster"]: each["reason"] for each in backend["clusters"]}
    assert reasons == {"cluster-1": "endpoints_failing", "cluster-2": "takes_over", "cluster-3": ""}
    assert backend["takeOverOrder"] == ["cluster-2", "cluster-3", "cluster-1"]
    assert {each["cluster"]: each["state"] for each in backend["endpoints"]}["cluster-1"] == "ejected"
    assert {each["inFlight"] for each in backend["endpoints"]} == {1}
    assert answer["timeout"] == {"seconds": 30.0, "from": "listener"}


async def test_policies_that_are_set_and_findings_about_the_ingress_are_shown() -> None:
    limited = Policies(rate_limits=(RateLimit(5, FixedResponse(429)),), response_timeout_s=2.0)
    answer = (await explained(route("web", "/", policies=limited)))["answer"]
    assert set(answer["policies"]) == {"rate_limits", "response_timeout_s"}
    assert answer["timeout"] == {"seconds": 2.0, "from": "route"}
    assert [finding["code"] for finding in answer["ignored"]] == ["FG0101"]


async def test_an_answer_of_the_gateway_has_no_backends() -> None:
    answer = (await explained(url="http://shop.demo:8001/cart/first"))["answer"]
    assert (answer["action"]["type"], answer["action"]["status"]) == ("fixed", 503)
    assert "backends" not in answer


async def test_freshness_is_that_of_the_snapshot_and_of_each_cluster() -> None:
    freshness = (await explained())["freshness"]
    assert (freshness["snapshotVersion"], freshness["appliedSecondsAgo"]) == (7, 50.0)
    assert [cluster["cluster"] for cluster in freshness["clusters"]] == ["cluster-1", "cluster-2"]


async def test_without_a_port_the_first_listener_stands_for_the_load_balancers() -> None:
    found = await explained(url="shop.demo/cart")
    assert (found["request"]["port"], found["chosen"]) == (8001, "shop/cart/0/0")
    assert found["note"] == "no listener on port 80; asked on port 8001 instead"
    found = await explained(url="http://shop.demo:9/cart")
    assert (found["listener"], found["chosen"]) == (None, None)
    assert found["considered"][0]["reason"] == "is on port 8001"


async def test_without_a_port_a_listener_with_routes_for_the_host_is_asked() -> None:
    listeners = (*SNAPSHOT.listeners, Listener(8000, GATEWAY), Listener(8002, GATEWAY))
    routes = (*ROUTES, replaced(route("other", "/"), host="*.demo.org", ports=(8002,)))
    everything = replaced(SNAPSHOT, listeners=listeners, routes=routes)
    ports = {}
    for host in ("shop.demo", "A.demo.org", "elsewhere"):
        async with client(replace(serving(), snapshot=everything)) as api:
            found = (await api.post("/api/v1/explain", json={"url": f"http://{host}/"})).json()
        ports[host] = found["request"]["port"]
    assert ports == {"shop.demo": 8001, "A.demo.org": 8002, "elsewhere": 8000}


@pytest.mark.parametrize("host", ["shop.demo.", "SHOP.demo.:8001"])
async def test_the_host_is_asked_as_workers_read_it(host: str) -> None:
    found = await explained(url="http://127.0.0.1:8001/cart/\u00e9", headers=[["host", host]])
    assert (found["chosen"], found["request"]["path"]) == ("shop/cart/0/0", "/cart/%C3%A9")


async def test_the_path_is_asked_as_workers_normalise_it_and_the_host_header_counts() -> None:
    found = await explained(
        url="http://127.0.0.1:8001/a/..//c%61rt?x=1#f", headers=[["host", "SHOP.demo:8001"]]
    )
    assert found["request"] | {"client": ""} == {
        "method": "GET", "host": "SHOP.demo", "port": 8001, "path": "/cart", "query": "x=1", "client": "",
    }  # fmt: skip
    assert found["chosen"] == "shop/cart/0/0"


async def test_a_url_of_the_other_protocol_than_the_listeners_is_told() -> None:
    found = await explained(url="https://shop.demo:8001/cart")
    assert found["detail"] == ("port 8001 speaks HTTP: such a request is answered 400; write http://")
    # In front of the gateway stands who takes HTTPS
    assert (await explained(url="https://shop.demo/cart"))["chosen"] == "shop/cart/0/0"


async def test_a_path_that_workers_refuse_as_ambiguous_is_said() -> None:
    found = await explained(url="http://shop.demo:8001/cart%2Fx")
    assert (
        found["note"]
        == "answered 400: some servers read /cart/x in this path, which takes route shop/cart/0/0"
    )
    for path in ("/cart/a%2Fx", "/a;b", "//cart"):
        assert (await explained(url=f"http://shop.demo:8001{path}"))["note"] == ""
    found = await explained(url="http://shop.demo:8001/a/..;/cart")
    assert "answered 400" in found["detail"]


async def test_only_the_nearest_misses_are_shown_unless_all_are_asked_for() -> None:
    routes = [route(f"r{number}", f"/x{number}") for number in range(30)]
    found = await explained(*routes)
    assert (len(found["considered"]), found["left"]) == (10, 20)
    found = await explained(*routes, all=True)
    assert (len(found["considered"]), found["left"]) == (30, 0)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"url": "http://"}, "is no URL; write e.g."),
        ({"url": "ftp://a/"}, "is no URL"),
        ({"url": "http://a:b/"}, "is no URL"),
        ({"url": "http://a:8001/%zz"}, "such a request is answered 400"),
        ({"url": "http://a:8001/../.."}, "climbs above the root"),
        ({"client": "me"}, "'me' is no address of a client"),
        ({"method": "G T"}, "such a request is answered 400"),
        ({"method": "TRACE"}, "such a request is answered 405"),
        ({"headers": [["x-a", "1\n2"]]}, "'x-a: 1\\n2' is no header: such a request is answered 400"),
        ({"headers": [["x_a", "1"]]}, "names have letters, digits and -"),
        ({"headers": [["host", "a b"]]}, "'a b' is no host name and port"),
        ({"url": "http://\u00fc.demo/"}, "is no host name and port"),
        ({"metod": "GET"}, "unknown field `metod`"),
        ({"headers": [["a"]]}, "$.headers[0]"),
    ],
)
async def test_a_question_that_cannot_be_asked_is_refused_with_the_reason(
    question: dict[str, Any], said: str
) -> None:
    found = await explained(**question)
    assert found["status"] == 400
    assert said in found["detail"]


async def test_questions_are_json_and_need_a_snapshot() -> None:
    async with client(serving(snapshot=None)) as api:
        assert (await api.post("/api/v1/explain", content=b"{}")).status_code == 415
        assert (await api.get("/api/v1/explain")).status_code == 405
        assert (await api.post("/api/v1/explain", json={"url": "a"})).status_code == 503
