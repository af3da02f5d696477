"""Slow requests beside fast ones, at programs with few or many workers: each request is executed once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from time import monotonic

import pytest
from msgspec.structs import replace

from proxy.model.actions import Failback, Forward
from proxy.model.policies import Policies, Retry, RetryScope
from proxy.model.snapshot import Route, Service
from tests.support.program import Program
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until
from tests.support.worker import WorkerProcess

FAST_S = 0.005
THREADED = 32


class Site:
    """One program in each of two clusters, and requests for them; a request is known by its id."""

    def __init__(self, port: int, at_a_time: int) -> None:
        self.port = port
        self.programs = {"c1": Program(at_a_time), "c2": Program(at_a_time)}
        self._asked = 0

    def __enter__(self) -> "Site":
        for program in self.programs.values():
            program.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs.values():
            program.__exit__()

    def services(self) -> tuple[Service, ...]:
        return (service({cluster: [p.address] for cluster, p in self.programs.items()}),)

    async def ask(self, kind: str, takes_s: float, method: str = "GET") -> Counter[str]:
        self._asked += 1
        return await tally(self.port, 1, request(f"/{kind}/{self._asked}?s={takes_s}", method=method))

    async def warm_up(self, takes_s: float = FAST_S) -> None:
        """Have fast requests overlap, as they do in practice, until the worker knows their kind.

        On a busy machine short ones do not overlap: then the worker learns of fewer workers at the program.
        """
        for _ in range(12):
            await asyncio.gather(*[self.ask("fast", takes_s) for _ in range(4)])
            await asyncio.sleep(0.1)

    async def beside(self, slow: Awaitable[Counter[str]], every_s: float = 0.1) -> Counter[str]:
        """Send fast GETs until the slow request is answered; return what it was answered."""
        task = asyncio.ensure_future(slow)
        others = []
        while not task.done():
            others.append(asyncio.create_task(self.ask("fast", FAST_S)))
            await asyncio.wait((task,), timeout=every_s)
        assert all(list(answer) != ["504"] for answer in await asyncio.gather(*others))
        return await task

    def executed(self) -> dict[str, Counter[str]]:
        return {cluster: program.executed() for cluster, program in self.programs.items()}

    def repeated(self) -> list[str]:
        total = sum(self.executed().values(), Counter())
        return [identity for identity, count in total.items() if count > 1]


@pytest.fixture
def threaded(port: int) -> Iterator[Site]:
    with Site(port, THREADED) as site:
        yield site


async def assert_undisturbed(worker: WorkerProcess) -> None:
    """No endpoint was left, no breaker opened, nothing was held out or tried again."""
    stats = await worker.stats()
    assert {endpoint.state for endpoint in stats.endpoints} == {"healthy"}
    assert (stats.attempts, stats.breakers, stats.failbacks) == ((), (), ())


PREFERRED = {"c1": 100, "c2": 0}


def with_failback(rule: Route) -> Route:
    assert isinstance(rule.action, Forward)
    by_hand = replace(rule.action.split, failback=Failback("demo/ing", manual=True))
    return replace(rule, action=replace(rule.action, split=by_hand))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("rules", ["preferred", "manual", "scope-none", "unweighted"])
async def test_a_slow_request_alone_is_executed_once_and_moves_nothing(
    worker: WorkerProcess, port: int, threaded: Site, rules: str, method: str
) -> None:
    rule = {
        "preferred": route(port, weights=PREFERRED),
        "manual": with_failback(route(port, weights=PREFERRED)),
        "scope-none": replace(
            route(port, weights=PREFERRED), policies=Policies(retry=Retry(scope=RetryScope.NONE))
        ),
        "unweighted": route(port),
    }[rules]
    await worker.apply(replace(snapshot(port, {}, rule), services=threaded.services()))
    await threaded.warm_up()
    answer = await threaded.beside(threaded.ask("slow", 1.5, method), every_s=0.4)
    assert list(answer) == ["/slow/49"]
    assert threaded.repeated() == []
    executed = threaded.executed()
    if rules == "unweighted":
        assert abs(executed["c1"].total() - executed["c2"].total()) <= 2
    else:
        assert executed["c2"].total() == 0
    await assert_undisturbed(worker)


@pytest.mark.parametrize("at_a_time", [1, 4])
async def test_fast_requests_queue_behind_slow_ones_where_these_fill_the_endpoint(
    worker: WorkerProcess, port: int, at_a_time: int
) -> None:
    with Site(port, at_a_time) as site:
        rule = route(port, weights=PREFERRED)
        await worker.apply(replace(snapshot(port, {}, rule), services=site.services()))
        await site.warm_up()
        slow = asyncio.gather(*[site.ask("slow", 2.0) for _ in range(at_a_time)])
        await until(lambda: len(site.programs["c1"].executed("slow")) == at_a_time)
        start = monotonic()
        fast = asyncio.gather(*[site.ask("fast", FAST_S) for _ in range(4)])
        await asyncio.gather(slow, fast)
        assert monotonic() - start > 1.5  # they waited
        assert site.repeated() == []
        assert site.executed()["c2"].total() == 0
        await assert_undisturbed(worker)


async def test_a_stopped_endpoint_is_left_and_what_is_slow_there_is_not_executed_twice(
    worker: WorkerProcess, port: int, threaded: Site
) -> None:
    await worker.apply(replace(snapshot(port, {}), services=threaded.services()))
    await threaded.warm_up(10 * FAST_S)
    slow = [asyncio.create_task(threaded.ask("slow", 2.0)) for _ in range(2)]
    await until(lambda: all(program.executed("slow") for program in threaded.programs.values()))
    await threaded.warm_up()  # beside the slow ones
    threaded.programs["c1"].stop()
    start = monotonic()
    fast = await asyncio.gather(*[threaded.ask("fast", FAST_S) for _ in range(8)])
    took_s = monotonic() - start
    threaded.programs["c1"].go_on()
    assert all("504" not in answer for answer in fast)
    assert took_s < 1.5, took_s  # a quarter of a second where the machine is idle
    for answer in await asyncio.gather(*slow):
        assert next(iter(answer)).startswith("/slow/")
    total = sum((program.executed("slow") for program in threaded.programs.values()), Counter())
    assert set(total.values()) == {1}


async def test_a_request_at_an_address_that_leaves_is_answered_there(
    worker: WorkerProcess, port: int, threaded: Site
) -> None:
    first, second = threaded.programs["c1"], threaded.programs["c2"]
    rule = route(port, weights={"c1": 100})
    await worker.apply(snapshot(port, {"c1": [first.address]}, rule))
    await threaded.warm_up()
    slow = asyncio.create_task(threaded.ask("slow", 3.0))
    await until(lambda: first.executed("slow"))
    worker.change_endpoints(2, service({"c1": []}))
    await asyncio.sleep(0.5)  # the address is away for a while
    worker.change_endpoints(3, service({"c1": [second.address]}))
    assert list(await slow) == ["/slow/49"]
    assert not second.executed("slow")
