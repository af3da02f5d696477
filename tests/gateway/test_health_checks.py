"""Health checks of a running gateway: which clusters serve when endpoints fail and when they pass."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h11
import pytest

from controlplane.admin.views import endpoint_view
from controlplane.gateway.gateway import Gateway
from controlplane.kube import cluster
from loadtest.ports import free_port
from tests.support.clusters import MEMBERS, Clusters, Json, answer_with, ask, clusters, gateway_on, ready
from tests.support.origin import Connection
from tests.support.waiting import until

CHECKS: dict[str, Any] = {
    "healthcheck-enabled": "true",
    "healthcheck-path": "/healthz",
    "healthcheck-method": "GET",
    "healthcheck-interval-seconds": "1",
    "healthcheck-timeout-seconds": "1",
    "healthy-threshold-count": "2",
    "unhealthy-threshold-count": "2",
}
NOTICED_S = 2 * (1.1 + 1.0) + 3.0
"""Two intervals with their jitter and timeouts, and slack for a machine that runs other tests, too."""


def status_500() -> bytes:
    return b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"


def silence() -> bytes:
    return b""


def checks_get(cluster: str, answer: Callable[[], bytes]) -> Callable[[Connection, h11.Request], bytes]:
    """Only checks get this answer: nothing but them can notice."""

    def either(connection: Connection, request: h11.Request) -> bytes:
        if request.target == b"/healthz":
            return answer()
        served: bytes = answer_with(cluster)(connection, request)
        return served

    return either


@asynccontextmanager
async def checked(directory: Path, workers: int = 1) -> AsyncIterator[tuple[Clusters, Gateway]]:
    async with clusters(directory, free_port()) as rig:
        rig.ingress(**CHECKS)
        async with gateway_on(rig, workers=workers) as running:
            await ready(running)
            yield rig, running


def fail(rig: Clusters, cluster: str, answer: Callable[[], bytes] = status_500) -> None:
    rig.origins[cluster].answer = checks_get(cluster, answer)


def heal(rig: Clusters, cluster: str) -> None:
    rig.origins[cluster].answer = answer_with(cluster)


def states(running: Gateway) -> dict[str, str]:
    """What all workers see, by cluster; two that see different things are no state."""
    found: dict[str, str] = {}
    for endpoint in running.state().endpoints():
        seen = {stats.state for stats in endpoint.by_worker.values()}
        found[endpoint.key[1]] = seen.pop() if len(seen) == 1 else ""
    return found


async def seen(running: Gateway, cluster: str, state: str, deadline_s: float = NOTICED_S) -> None:
    async with asyncio.timeout(deadline_s + 10):
        end = asyncio.get_running_loop().time() + deadline_s
        while states(running).get(cluster) != state:
            assert asyncio.get_running_loop().time() < end, f"{cluster} not {state} within {deadline_s} s"
            await running.refresh()
            await asyncio.sleep(0.02)


async def who_serves(rig: Clusters) -> set[str]:
    """Return the clusters that serve; no request fails."""
    answers = [await ask(rig.port) for _ in range(24)]
    assert {status for status, _ in answers} == {200}
    return {cluster for _, cluster in answers}


def view(running: Gateway, cluster: str) -> Json:
    return next(
        endpoint_view(endpoint) for endpoint in running.state().endpoints() if endpoint.key[1] == cluster
    )


@pytest.mark.parametrize("answer", [status_500, silence])
async def test_a_failing_cluster_gets_no_requests_until_it_passes_again(
    tmp_path: Path, answer: Callable[[], bytes]
) -> None:
    async with checked(tmp_path, workers=2) as (rig, running):
        assert await who_serves(rig) == {*MEMBERS}
        fail(rig, "cluster-2", answer)
        await seen(running, "cluster-2", "unhealthy")
        assert await who_serves(rig) == {"cluster-1"}
        check = view(running, "cluster-2")["check"]
        cause = "status 500" if answer is status_500 else "no answer within 1 s"
        assert (check["healthy"], check["lastCause"]) == (False, cause)
        assert view(running, "cluster-1")["check"]["healthy"] is True
        heal(rig, "cluster-2")
        await seen(running, "cluster-2", "healthy")
        assert await who_serves(rig) == {*MEMBERS}


async def test_when_all_fail_all_serve(tmp_path: Path) -> None:
    async with checked(tmp_path) as (rig, running):
        for cluster in MEMBERS:
            fail(rig, cluster)
        for cluster in MEMBERS:
            await seen(running, cluster, "unhealthy")
        assert await who_serves(rig) == {*MEMBERS}


async def test_an_endpoint_that_refuses_is_found_without_a_request(tmp_path: Path) -> None:
    async with checked(tmp_path) as (rig, running):
        rig.origins["cluster-2"].stop()
        await seen(running, "cluster-2", "unhealthy")
        assert view(running, "cluster-2")["requests"] == 0
        await rig.origins["cluster-2"].start()
        await seen(running, "cluster-2", "healthy")
        assert await who_serves(rig) == {*MEMBERS}


async def test_endpoints_of_a_stale_member_go_on_being_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "STALE_AFTER_S", 1.0)
    async with checked(tmp_path) as (rig, running):
        await rig.apis["cluster-2"].stop()
        await until(lambda: any(member.stale for member in running.state().clusters))
        fail(rig, "cluster-2")
        await seen(running, "cluster-2", "unhealthy")
        assert await who_serves(rig) == {"cluster-1"}


async def test_a_restart_without_api_servers_knows_failed_clusters_and_goes_on_checking(
    tmp_path: Path,
) -> None:
    async with clusters(tmp_path, free_port()) as rig:
        rig.ingress(**CHECKS)
        fail(rig, "cluster-2")
        async with gateway_on(rig) as running:
            await ready(running)
            await seen(running, "cluster-2", "unhealthy")
        for api in (rig.fleet, *rig.apis.values()):
            await api.stop()
        async with gateway_on(rig) as running:
            await ready(running)
            assert running.state().from_disk
            assert await who_serves(rig) == {"cluster-1"}
            heal(rig, "cluster-2")
            await seen(running, "cluster-2", "healthy")
            fail(rig, "cluster-1")
            await seen(running, "cluster-1", "unhealthy")
            assert await who_serves(rig) == {"cluster-2"}


async def test_checks_that_are_switched_off_leave_nothing_behind(tmp_path: Path) -> None:
    async with checked(tmp_path) as (rig, running):
        fail(rig, "cluster-2")
        await seen(running, "cluster-2", "unhealthy")
        rig.ingress(generation=2)
        await seen(running, "cluster-2", "healthy")
        assert await who_serves(rig) == {*MEMBERS}
        assert view(running, "cluster-2")["check"] is None
        assert not running.state().check_counts


async def test_a_failing_endpoint_changes_endpoints_and_no_rules(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with checked(tmp_path) as (rig, running):
        before = running.state().workers[0].applied_version
        fail(rig, "cluster-2")
        await seen(running, "cluster-2", "unhealthy")
        rig.ingress("other", "/other", generation=1)  # a retranslation changes no verdict
        await until(lambda: running.state().workers[0].applied_version > before)
        await seen(running, "cluster-2", "unhealthy")
        assert await who_serves(rig) == {"cluster-1"}
        checks = [record for record in caplog.records if record.name.startswith("controlplane.checks")]
        assert [record.getMessage() for record in checks] == ["endpoint unhealthy"]
        for cluster, result in (("cluster-2", "status"), ("cluster-1", "passed")):
            key = ("shop/web:80", cluster, result)
            await until(lambda key=key: running.state().check_counts[key] >= 2, what=str(key))  # type: ignore[misc]
