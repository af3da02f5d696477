"""The timeline of a running gateway, while a cluster dies and comes back."""

import logging
from pathlib import Path
from typing import Any

import pytest

from controlplane.admin import views
from controlplane.admin.failovers import failover_views
from controlplane.gateway.gateway import Gateway
from controlplane.observe.failovers import MOST_LINES, _log_all, carrying
from controlplane.observe.timeline import Failover
from loadtest.ports import free_port
from proxy.model.actions import Backend, Forward, Redirect, Share, Split, SplitMode
from proxy.model.snapshot import PathKind, PathMatch, Route, Source
from tests.support.clusters import ask, clusters, gateway_on, ready
from tests.support.waiting import until, until_async


async def shown(running: Gateway) -> list[dict[str, Any]]:
    await running.refresh()
    return list(failover_views(running.state()))


async def test_a_cluster_that_dies_and_comes_back_is_one_failover(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "controlplane.observe.failovers")
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        assert {await ask(port) for _ in range(4)} == {(200, "cluster-1"), (200, "cluster-2")}
        assert await shown(running) == []
        rig.origins["cluster-2"].stop()

        async def begun() -> bool:
            assert await ask(port) == (200, "cluster-1")
            return bool(await shown(running))

        await until_async(begun, 10, "a failover begins")
        (lasting,) = await shown(running)
        assert (lasting["service"], lasting["fromCluster"]) == ("shop/web:80", "cluster-2")
        assert lasting["end"] is None
        (route,) = views.routes(running.state())
        reasons = {each["cluster"]: each["reason"] for each in route["clusters"]}
        assert reasons == {"cluster-1": "takes_over", "cluster-2": "breaker_open"}
        await rig.origins["cluster-2"].start()

        async def ended() -> bool:
            assert (await ask(port))[0] == 200
            return (await shown(running))[0]["end"] is not None

        await until_async(ended, 20, "the failover ends")
        (over,) = await shown(running)
        assert over["cause"] == "refused"
        assert over["moved"] > 0
        assert over["toClusters"] == {"cluster-1": over["moved"]}
        assert over["lost"] == 0
        assert {await ask(port) for _ in range(4)} == {(200, "cluster-1"), (200, "cluster-2")}
    started, finished = (r for r in caplog.records if r.name == "controlplane.observe.failovers")
    assert (started.getMessage(), finished.getMessage()) == ("failover started", "failover ended")
    assert finished.__dict__["from_cluster"] == "cluster-2"
    assert (finished.__dict__["moved"], finished.__dict__["lost"]) == (over["moved"], 0)


async def test_pods_that_are_not_ready_any_more_are_a_failover_without_a_request(tmp_path: Path) -> None:
    port = free_port()
    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        await shown(running)
        rig.pods("cluster-2", ready=False)
        await until(lambda: running.state().failovers)
        (lasting,) = await shown(running)
        assert (lasting["cause"], lasting["moved"], lasting["end"]) == ("no_endpoints", 0, None)
        rig.pods("cluster-2")
        await until(lambda: running.state().failovers[0].end)


WEIGHTED = Split(SplitMode.WEIGHTS, (Share("a", 20), Share("b", 80), Share("c")))
BY_PRIORITY_LEVEL = Split(SplitMode.ENDPOINTS, (Share("a"), Share("b", priority=1)))


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Forward((Backend("x", 1),), WEIGHTED), {("x", "a"), ("x", "b")}),
        (Forward((Backend("x", 1),), BY_PRIORITY_LEVEL), {("x", "a")}),
        (
            Forward((Backend("x", 9), Backend("y", 1, WEIGHTED)), BY_PRIORITY_LEVEL),
            {("x", "a"), ("y", "a"), ("y", "b")},
        ),
        (Redirect(301), set()),
    ],
)
def test_clusters_with_a_share_are_found(action: Forward | Redirect, expected: set[tuple[str, str]]) -> None:
    path = PathMatch(PathKind.PREFIX, "/")
    assert set(carrying([Route("r", Source("Ingress", "demo", "r"), (80,), "", path, action)])) == expected


def test_thousands_of_failovers_of_one_namespace_hide_none_of_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "controlplane.observe.failovers")
    noisy = [Failover(f"a-noisy/s{number}:80", "cluster-1", 1.0) for number in range(5000)]
    _log_all([*noisy, Failover("servergroup:b-quiet/idc", "zone:a", 1.0)])
    lines = [record.__dict__ for record in caplog.records]
    assert len(lines) == MOST_LINES + 1
    assert "servergroup:b-quiet/idc" in [line.get("service") for line in lines]
    assert (lines[-1]["count"], lines[-1]["most"]) == (5001 - MOST_LINES, f"a-noisy: {5001 - MOST_LINES}")
