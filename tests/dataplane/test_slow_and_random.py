"""Endpoints that are slow, or fail now and then, without being gone: no storm, no ejection."""

import asyncio
from collections import Counter
from random import Random

import h11
import pytest

from tests.dataplane.test_cluster_breaker import asked
from tests.dataplane.test_failover import failing
from tests.dataplane.test_stalls import Pod
from tests.support.origin import Connection, Origin, ok
from tests.support.requests import request, tally
from tests.support.snapshots import route, snapshot
from tests.support.worker import WorkerProcess

FAST_S, SLOW_S = 0.005, 0.05
MOST = 1.2
"""Requests upstream for each that is asked."""


async def load(port: int, clients: int, each: int, raw: bytes | None = None) -> Counter[str]:
    answers: Counter[str] = Counter()
    for found in await asyncio.gather(*(tally(port, each, raw) for _ in range(clients))):
        answers += found
    return answers


async def states(worker: WorkerProcess) -> set[str]:
    return {endpoint.state for endpoint in (await worker.stats()).endpoints}


@pytest.mark.parametrize("clusters", [("c1", "c1"), ("c1", "c2")])
async def test_ten_times_as_slow_is_no_failure(
    worker: WorkerProcess, port: int, clusters: tuple[str, str]
) -> None:
    async with Pod(FAST_S) as slow, Pod(FAST_S) as fast:
        where: dict[str, list[tuple[str, int]]] = {cluster: [] for cluster in clusters}
        for cluster, pod in zip(clusters, (slow, fast), strict=True):
            where[cluster].append(pod.address)
        await worker.apply(snapshot(port, where))
        await load(port, 4, 25)
        slow.latency_s = SLOW_S
        slow.forget()
        fast.forget()
        assert await load(port, 8, 50) == {"/": 400}
        assert len(slow.requests) + len(fast.requests) <= 400 * MOST
        if clusters == ("c1", "c1"):  # by requests in flight; between clusters it is the rules' affair
            assert len(slow.requests) < 400 / 3
        assert not (await worker.stats()).attempts
        assert await states(worker) == {"healthy"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_tenth_of_502_everywhere_ejects_no_endpoint(
    worker: WorkerProcess, port: int, method: str
) -> None:
    def now_and_then(random: Random) -> "Origin":
        def answer(connection: Connection, asked: h11.Request) -> bytes:
            if random.random() < 0.1:
                return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1\r\n\r\nx"
            return ok(connection, asked)

        return Origin(answer)

    # Of each the number of failures in a row is known: they are fewer than five
    pods = [now_and_then(Random(seed)) for seed in (1, 2, 3, 4)]
    async with pods[0], pods[1], pods[2], pods[3]:
        one, two, three, four = (pod.address for pod in pods)
        await worker.apply(snapshot(port, {"c1": [one, two], "c2": [three, four]}, route(port)))
        raw = request(method=method, body=b"" if method == "GET" else b"order=1")
        answers = await load(port, 8, 150, raw)
        upstream = sum(len(pod.requests) for pod in pods)
        assert not (await worker.stats()).breakers
        assert await states(worker) == {"healthy"}
    assert set(answers) <= {"/", "502"}
    if method == "GET":
        assert answers["502"] <= 8  # three times out of three: one in a thousand
        assert 1200 * 1.05 < upstream <= 1200 * MOST
    else:
        assert 60 < answers["502"] < 180
        assert upstream == 1200


async def test_a_cluster_that_answers_503_costs_a_few_posts_and_then_nothing(
    worker: WorkerProcess, port: int
) -> None:
    async with (
        Origin(lambda _c, _r: failing(503)) as one,
        Origin(lambda _c, _r: failing(503)) as two,
        Pod(0.03) as three,  # so slow that a pause of this process does not look like a stall
        Pod(0.03) as four,
    ):
        bad, good = [one.address, two.address], [three.address, four.address]
        await worker.apply(snapshot(port, {"c1": bad, "c2": good}))
        post = request(method="POST", body=b"order=1")
        gets, posts = await asyncio.gather(load(port, 4, 100), load(port, 4, 100, post))
        assert gets == {"/": 400}
        assert posts["503"] <= 5 * 2  # in a row, of each endpoint
        assert sum(len(origin.requests) for origin in (one, two, three, four)) <= 800 * MOST
        # Probes find that it accepts. What it makes of requests is for GETs to find out, if there are any
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(3.0, over.set)
        loads = [asked(port, raw, over) for raw in (request(), post, post, post, post)]
        assert [set(answers) for answers in await asyncio.gather(*loads)] == [{"/"}] * 5
