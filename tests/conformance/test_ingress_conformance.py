"""The public Ingress conformance suite, with the services in one cluster, in the other, and in both.

Two things differ from the suite: it asks on port 80, these tests on the port that the status names; and
for scenario 7, HTTPS, the gateway only has to say that it does not serve it yet.
"""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.conformance.rig import BALANCED_PODS, USER_AGENT, Feature, Stage, rig_in, suite_client
from tests.conformance.scenarios import FEATURES, HTTPS, SCENARIOS, Scenario

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACEMENTS = (("cluster-1",), ("cluster-2",), ("cluster-1", "cluster-2"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with rig_in(tmp_path_factory.mktemp("conformance")) as rig:
        stage = Stage(rig)
        yield stage
        await stage.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with suite_client() as opened:
        yield opened


def case(scenario: Scenario, clusters: tuple[str, ...]) -> Any:
    return pytest.param(clusters, scenario, id=f"{'+'.join(clusters)}-{scenario}")


CASES = [
    case(scenario, clusters) for clusters in PLACEMENTS for scenario in SCENARIOS if scenario.number != HTTPS
]


EVERYWHERE = pytest.mark.parametrize("clusters", PLACEMENTS, ids="+".join)


async def ask(
    client: httpx.AsyncClient, feature: Feature, ingress: str, method: str, host: str, path: str
) -> httpx.Response:
    """Ask at the address that the status of an Ingress names."""
    address = await feature.address_of(ingress)
    assert address is not None
    url = f"http://{address[0]}:{address[1]}{path}"
    return await client.request(method, url, headers={"host": host} if host else {})


def assert_answers_as_the_suite_wants(answer: httpx.Response) -> None:
    assert answer.http_version == "HTTP/1.1"
    for name in ("content-length", "content-type", "date", "server"):
        assert len(answer.headers.get_list(name)) == 1, name
    assert "transfer-encoding" not in answer.headers
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(("clusters", "scenario"), CASES)
async def test_scenario(
    client: httpx.AsyncClient, stage: Stage, clusters: tuple[str, ...], scenario: Scenario
) -> None:
    feature = await stage.show(scenario.feature, clusters)
    answer = await ask(client, feature, feature.namespace, scenario.method, scenario.host, scenario.path)
    assert_answers_as_the_suite_wants(answer)
    if not scenario.service:
        assert answer.status_code == 404
        return
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["namespace"], seen["service"]) == (feature.namespace, scenario.service)
    assert seen["cluster"] in clusters
    assert (seen["method"], seen["path"], seen["proto"]) == (scenario.method, scenario.path, "HTTP/1.1")
    assert seen["headers"]["user-agent"] == USER_AGENT
    assert seen["headers"]["host"] == (scenario.host or answer.url.netloc.decode())


@EVERYWHERE
async def test_07_https_is_not_served_yet_and_the_ingress_says_so(
    stage: Stage, clusters: tuple[str, ...]
) -> None:
    """Scenario 7 is https://foo.bar.com. The address has no port for it, so that nobody is sent there."""
    feature = await stage.show("host-rules", clusters)
    told = [item for item in feature.rig.gateway.state().diagnostics if item.field.startswith("spec.tls")]
    assert [(item.code, item.namespace, item.name) for item in told] == [
        ("FG0307", "host-rules", "host-rules")
    ]
    assert await feature.ports_of("host-rules") == [feature.rig.port]


@EVERYWHERE
async def test_13_an_ingress_of_an_unknown_class_has_no_address(
    client: httpx.AsyncClient, stage: Stage, clusters: tuple[str, ...]
) -> None:
    """The suite waits five minutes; here an Ingress that was made after it has its address and is served."""
    feature = await stage.show("ingress-class", clusters)
    answer = await ask(client, feature, "valid-class", "GET", "valid-class.example.com", "/")
    assert answer.status_code == 200
    answer = await ask(client, feature, "valid-class", "GET", "invalid-class.example.com", "/")
    assert answer.status_code == 404
    assert await feature.address_of("invalid-class") is None


@EVERYWHERE
async def test_14_a_hundred_requests_reach_all_ten_pods(
    client: httpx.AsyncClient, stage: Stage, clusters: tuple[str, ...]
) -> None:
    feature = await stage.show("load-balancing", clusters)
    pods: Counter[str] = Counter()
    shares: Counter[str] = Counter()
    for _ in range(100):
        answer = await ask(client, feature, "load-balancing", "GET", "load-balancing", "/")
        assert answer.status_code == 200
        seen = answer.json()
        pods[seen["pod"]] += 1
        shares[seen["cluster"]] += 1
    assert len(pods) == BALANCED_PODS
    assert shares == dict.fromkeys(clusters, 100 // len(clusters))


async def test_every_scenario_of_the_suite_is_here() -> None:
    assert [scenario.number for scenario in SCENARIOS] == [n for n in range(1, 31) if n not in (13, 14)]
    assert {scenario.feature for scenario in SCENARIOS} | {"ingress-class", "load-balancing"} == set(FEATURES)
