"""What the admin API says of clusters that an Ingress keeps out, and how they are let back."""

from typing import Any

import msgspec
import pytest

from controlplane.admin.failback import text
from controlplane.admin.state import State
from proxy.model.actions import Failback, Forward
from proxy.model.channel import Hold
from proxy.model.snapshot import Snapshot
from proxy.model.statistics import FailbackStats
from tests.admin.test_api import client
from tests.support.dataplane import snapshot
from tests.support.states import SERVICE, serving, stats

EJECTED: dict[str, Any] = {"cluster-2": "ejected"}
BOTH = {"cluster-1": "healthy", "cluster-2": "healthy"}
HELD = FailbackStats("shop/web", SERVICE, "cluster-1", "held", 0.0, 0.0)
MANUAL, SLOWLY = Failback("shop/web", manual=True), Failback("shop/web", delay_s=30.0, ramp_s=60.0)


def asking(failback: Failback | None) -> Snapshot:
    plain = snapshot(7, 8001)
    (route,) = plain.routes
    assert isinstance(route.action, Forward)
    split = msgspec.structs.replace(route.action.split, failback=failback)
    action = msgspec.structs.replace(route.action, split=split)
    return msgspec.structs.replace(plain, routes=(msgspec.structs.replace(route, action=action),))


def state(failback: Failback | None, *seen: FailbackStats, workers: int = 2, **states: str) -> State:
    """As the first worker sees it, and those after it as well if `seen` has one for each."""
    reports = [stats(10, BOTH | states) for number in range(workers)]
    told = seen if len(seen) > 1 else seen * workers
    reports = (
        [
            msgspec.structs.replace(report, failbacks=(each,) if each.part < 1.0 else ())
            for report, each in zip(reports, told, strict=True)
        ]
        if told
        else reports
    )
    held = {Hold(e.ingress, e.service, e.cluster): 900.0 for e in told if e.state == "held"}
    return serving(*reports, snapshot=asking(failback), held=held)


async def shown(given: State) -> tuple[dict[str, Any], list[Any]]:
    """The route's clusters by name, and what the first cluster says."""
    async with client(given) as api:
        (route,) = (await api.get("/api/v1/routes")).json()["items"]
        cluster, _ = (await api.get("/api/v1/clusters")).json()["items"]
    return {each["cluster"]: each for each in route["clusters"]}, cluster["failbacks"]


async def test_a_cluster_that_is_held_out_gets_nothing_and_says_why() -> None:
    clusters, said = await shown(state(MANUAL, HELD))
    assert clusters["cluster-1"]["effectivePercent"] == 0.0
    assert clusters["cluster-1"]["reason"] == "held_out"
    assert clusters["cluster-2"]["effectivePercent"] == 100.0
    assert clusters["cluster-2"]["reason"] == "takes_over"
    assert said == [
        {
            "ingress": "shop/web",
            "service": SERVICE,
            "state": "held",
            "partPercent": 0.0,
            "since": "1970-01-01T00:15:00+00:00",
            "until": None,
            "text": "held out (failback manual) until: fleetgate failback shop/web --cluster cluster-1",
        }
    ]


@pytest.mark.parametrize(
    ("seen", "percent", "reason", "words"),
    [
        (
            FailbackStats("shop/web", SERVICE, "cluster-1", "delayed", 0.0, 20.0), 0.0, "failback_delay",
            "held out until 00:17:00 UTC (failback)",
        ),
        (
            FailbackStats("shop/web", SERVICE, "cluster-1", "ramping", 0.25, 40.0), 20.0, "ramping",
            "gets 25.0% of its share, all of it at 00:17:20 UTC (failback)",
        ),
    ],
)  # fmt: skip
async def test_on_its_way_back_it_says_how_far_it_is(
    seen: FailbackStats, percent: float, reason: str, words: str
) -> None:
    clusters, (said,) = await shown(state(SLOWLY, seen))
    assert (clusters["cluster-1"]["effectivePercent"], clusters["cluster-1"]["reason"]) == (percent, reason)
    assert said["text"] == words
    assert said["until"] is not None
    assert text(seen, 1000.0) == words


async def test_the_hold_of_one_worker_of_three_is_not_shown() -> None:
    nothing = msgspec.structs.replace(HELD, part=1.0)
    clusters, said = await shown(state(MANUAL, HELD, nothing, nothing, workers=3))
    assert clusters["cluster-1"]["reason"] == ""
    assert said == []


async def test_a_held_cluster_serves_while_no_other_does() -> None:
    clusters, _ = await shown(state(MANUAL, HELD, **EJECTED))
    assert clusters["cluster-1"]["effectivePercent"] == 100.0
    assert clusters["cluster-2"]["reason"] == "endpoints_failing"


async def test_explain_says_it_too() -> None:
    async with client(state(MANUAL, HELD)) as api:
        question = {"method": "GET", "url": "http://shop.example.com:8001/"}
        found = (await api.post("/api/v1/explain", json=question)).json()
        (backend,) = found["answer"]["backends"]
    assert [(c["cluster"], c["effectivePercent"], c["reason"]) for c in backend["clusters"]] == [
        ("cluster-1", 0.0, "held_out"),
        ("cluster-2", 100.0, "takes_over"),
    ]
    assert backend["takeOverOrder"] == ["cluster-2"]


@pytest.mark.parametrize(("cluster", "serves"), [("", True), ("cluster-1", True), ("", False)])
async def test_a_held_cluster_is_let_back(cluster: str, serves: bool) -> None:
    states: dict[str, Any] = {} if serves else {"cluster-1": "ejected"}
    given = state(MANUAL, HELD, **states)
    async with client(given) as api:
        answer = await api.post("/api/v1/failback", json={"ingress": "shop/web", "cluster": cluster})
    since = "1970-01-01T00:15:00+00:00"
    assert answer.json() == {
        "ingress": "shop/web",
        "letBack": [{"service": SERVICE, "cluster": "cluster-1", "since": since, "serves": serves}],
    }


@pytest.mark.parametrize(
    ("failback", "asked", "said"),
    [
        (MANUAL, {"ingress": "shop/wep"}, "Ingress 'shop/wep' has no routes here, did you mean shop/web?"),
        (MANUAL, {"ingress": "web"}, "give it as NAMESPACE/NAME"),
        (None, {"ingress": "shop/web"}, "its fleetgate.io/failback is auto, not manual"),
        (SLOWLY, {"ingress": "shop/web"}, "its fleetgate.io/failback is auto(30s, 60s), not manual"),
        (MANUAL, {"ingress": "shop/web", "cluster": "cluster-3"}, "it uses: cluster-1, cluster-2"),
        (MANUAL, {"ingress": "shop/web", "clusters": "x"}, "unknown field"),
        (MANUAL, {}, "missing required field"),
    ],
)
async def test_failbacks_that_cannot_be_done_are_refused(
    failback: Failback | None, asked: dict[str, str], said: str
) -> None:
    async with client(state(failback)) as api:
        answer = await api.post("/api/v1/failback", json=asked)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


async def test_no_web_page_can_ask_for_it() -> None:
    async with client(state(MANUAL, HELD)) as api:
        body = b'{"ingress": "shop/web"}'
        assert (await api.get("/api/v1/failback")).status_code == 405
        assert (await api.post("/api/v1/failback", content=body)).status_code == 415
        rebound = await api.post(
            "/api/v1/failback", json={"ingress": "shop/web"}, headers={"Host": "evil.example"}
        )
        assert rebound.status_code == 421
