"""The JSON of the admin API, its errors, and who may ask."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from msgspec import structs
from msgspec.structs import replace

from controlplane.admin.app import build_app
from controlplane.admin.bodies import encode
from controlplane.admin.server import AdminAddressError, AdminServer
from controlplane.admin.state import State
from controlplane.checks import CheckView
from controlplane.observe.timeline import Failover
from controlplane.proposal.job import Basis
from proxy.model.channel import Hold
from proxy.model.codec import decode_snapshot
from proxy.model.statistics import BreakerStats
from tests.support.admintoken import BEARER, local, token_file
from tests.support.states import serving, stats


class Fixed:
    """A source that never changes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.refreshed = 0

    def state(self) -> State:
        return self._state

    def basis(self) -> Basis | None:
        return None

    def let_back(self, ingress: str, cluster: str) -> tuple[Hold, ...]:
        """Lets back what is held."""
        return tuple(h for h in self._state.held if h.ingress == ingress and cluster in ("", h.cluster))

    async def refresh(self) -> None:
        self.refreshed += 1


@asynccontextmanager
async def client(state: State, *names: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(Fixed(state), names, local()))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:9901", headers=BEARER
    ) as made:
        yield made


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9901", 200),
        ("localhost", 200),
        ("LOCALHOST:9901", 200),
        ("[::1]:9901", 200),
        ("10.1.2.3:9901", 200),
        ("gateway.internal:9901", 200),
        ("evil.example.com", 421),
        ("evil.example.com:9901", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.evil.example.com", 421),
        ("", 421),
    ],
)
async def test_foreign_host_names_are_refused(host: str, status: int) -> None:
    async with client(serving(), "gateway.internal") as api:
        for path in ("/livez", "/api/v1/snapshot"):
            answer = await api.get(path, headers={"host": host})
            assert answer.status_code == status
        if status == 421:
            assert answer.headers["content-type"] == "application/problem+json"


async def test_readiness_is_a_status_code_and_on_demand_a_list() -> None:
    async with client(serving()) as api:
        assert (await api.get("/readyz")).text == "ok\n"
        assert "[+]workers ok" in (await api.get("/readyz?verbose")).text
    async with client(replace(serving(), draining=True)) as api:
        answer = await api.get("/readyz")
        assert answer.status_code == 503
        assert "[-]draining failed" in answer.text
        assert (await api.get("/livez")).status_code == 200


async def test_overview_sums_up() -> None:
    async with client(serving()) as api:
        body = (await api.get("/api/v1/overview")).json()
    assert body["ready"] is True
    assert body["counts"] == {
        "routes": 1,
        "services": 1,
        "endpoints": {"healthy": 2},
        "clusters": 2,
        "clustersSynced": 2,
        "diagnostics": {"warning": 1},
    }
    assert [worker["appliedVersion"] for worker in body["workers"]] == [7, 7]
    assert body["requests"]["total"] == 36


async def test_routes_show_shares_and_requests() -> None:
    async with client(serving()) as api:
        (route,) = (await api.get("/api/v1/routes?service=web&cluster=cluster-1")).json()["items"]
        assert route["source"]["name"] == "web"
        assert route["requests"] == 30
        assert route["clusters"][0] == {
            "cluster": "cluster-1",
            "weight": 50,
            "configuredPercent": 50.0,
            "effectivePercent": 50.0,
            "reason": "",
            "requests": 30,
        }
        assert (await api.get("/api/v1/routes?host=other.example.com")).json()["items"] == []


async def test_another_share_than_configured_has_a_reason() -> None:
    failed = stats(10, {"cluster-1": "healthy", "cluster-2": "ejected"})
    opened = structs.replace(failed, breakers=(BreakerStats("shop/web:80", "cluster-2", "open", 0.0, 0),))
    async with client(serving(opened)) as api:
        (route,) = (await api.get("/api/v1/routes")).json()["items"]
        seen = {each["cluster"]: (each["effectivePercent"], each["reason"]) for each in route["clusters"]}
        assert seen == {"cluster-1": (100.0, "takes_over"), "cluster-2": (0.0, "breaker_open")}
        well, ill = (await api.get("/api/v1/clusters")).json()["items"]
        assert (well["cluster"], well["reduced"]) == ("cluster-1", [])
        assert ill["reduced"] == [{"service": "shop/web:80", "reason": "breaker_open"}]


async def test_endpoints_merge_the_workers() -> None:
    async with client(serving()) as api:
        (endpoint,) = (await api.get("/api/v1/endpoints?cluster=cluster-2")).json()["items"]
    assert endpoint["state"] == "healthy"
    assert endpoint["requests"] == 30
    assert [worker["worker"] for worker in endpoint["workers"]] == [0, 1]
    assert endpoint["check"] is None


async def test_endpoints_tell_what_their_checks_say() -> None:
    key = ("shop/web:80", "cluster-2", "10.0.0.1", 8080)
    checks = {key: CheckView(failing=True, since=960.0, last_at=999.5, last_cause="status 500")}
    async with client(serving(checks=checks)) as api:
        (endpoint,) = (await api.get("/api/v1/endpoints?cluster=cluster-2")).json()["items"]
    assert endpoint["check"] == {
        "healthy": False,
        "since": "1970-01-01T00:16:00+00:00",
        "lastAt": "1970-01-01T00:16:39+00:00",
        "lastCause": "status 500",
    }


async def test_clusters_and_diagnostics_can_be_filtered() -> None:
    async with client(serving()) as api:
        (cluster,) = (await api.get("/api/v1/clusters?cluster=cluster-1")).json()["items"]
        assert cluster["ageSeconds"] == 2.0
        (finding,) = (await api.get("/api/v1/diagnostics?level=warning")).json()["items"]
        assert finding["reason"] == "IngressClassNotFound"
        assert (await api.get("/api/v1/diagnostics?level=error")).json()["items"] == []


def test_lists_are_encoded_in_slices() -> None:
    document = {
        "items": [{"n": number} for number in range(2500)],
        "none": [],
        "text": "\u00fc",
        "of": {"a": [1]},
    }
    assert json.loads(encode(document)) == document


async def test_the_snapshot_is_the_contract_itself() -> None:
    async with client(serving()) as api:
        assert decode_snapshot((await api.get("/api/v1/snapshot")).content) == serving().snapshot
    async with client(replace(serving(), snapshot=None)) as api:
        answer = await api.get("/api/v1/snapshot")
        assert (answer.status_code, answer.json()["title"]) == (503, "no snapshot yet")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/api/v1/routes", 405), ("GET", "/api/v1/routes?hots=x", 400)],
)
async def test_errors_are_problems(method: str, path: str, status: int) -> None:
    async with client(serving()) as api:
        answer = await api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_metrics_ask_the_workers_first() -> None:
    source = Fixed(serving())
    transport = httpx.ASGITransport(build_app(source, (), local()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
        answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert source.refreshed == 1


async def test_the_server_answers_on_its_port() -> None:
    server = AdminServer("127.0.0.1", 0, ())
    await server.start(Fixed(serving()), token_file())
    try:
        async with httpx.AsyncClient() as api:
            assert (await api.get(f"http://{server.address}/livez")).text == "ok\n"
    finally:
        await server.stop()


def test_a_busy_address_is_explained_on_one_line() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(AdminAddressError) as caught:
            AdminServer("127.0.0.1", port, ())
    assert str(caught.value) == (
        f"admin address 127.0.0.1:{port}: is in use; stop the other process or choose another one"
        " with --admin HOST:PORT"
    )


async def test_failovers_by_service_and_cluster() -> None:
    over = Failover("shop/web:80", "cluster-2", 900.0, 910.5)
    over.reasons["refused"] = over.moved_to["cluster-1"] = 3
    lasting = Failover("shop/cart:80", "cluster-1", 990.0, seen_as="no_endpoints", lost=2)
    async with client(serving(failovers=(lasting, over))) as api:
        items = (await api.get("/api/v1/failovers")).json()["items"]
        assert [item["service"] for item in items] == ["shop/cart:80", "shop/web:80"]
        assert (items[0]["cause"], items[0]["end"], items[0]["seconds"]) == ("no_endpoints", None, 10.0)
        for query in ("service=web", "service=shop/web", "cluster=cluster-2"):
            assert (await api.get(f"/api/v1/failovers?{query}")).json()["items"] == [
                {
                    "service": "shop/web:80",
                    "fromCluster": "cluster-2",
                    "toClusters": {"cluster-1": 3},
                    "cause": "refused",
                    "reasons": {"refused": 3},
                    "start": "1970-01-01T00:15:00+00:00",
                    "end": "1970-01-01T00:15:10+00:00",
                    "seconds": 10.5,
                    "moved": 3,
                    "lost": 0,
                }
            ]
        assert (await api.get("/api/v1/failovers?cause=refused")).status_code == 400
