"""A lookup that gets no answer delays no other one, and occupies a thread for as long as it has to."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from controlplane.system.lookups import Addresses, Lookups
from tests.support.waiting import until

PATIENCE_S = 0.05


class Resolver:
    """A blocking resolver. Names that begin with "slow" get no answer before `end`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers = threading.Event()

    def __call__(self, host: str) -> Addresses:
        self.asked.append(host)
        if host.startswith("slow"):
            assert self._answers.wait(30)
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return (f"10.0.0.{len(self.asked) % 250}",)

    def end(self) -> None:
        self._answers.set()

    @property
    def threads(self) -> int:
        return sum(thread.name.startswith("resolve ") for thread in threading.enumerate())


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.end()
    deadline = time.monotonic() + 10
    while made.threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made.threads == 0


def begin(lookups: Lookups, hosts: list[str]) -> list["asyncio.Task[Addresses]"]:
    return [asyncio.create_task(lookups.lookup(host)) for host in hosts]


def slow(number: int) -> list[str]:
    return [f"slow{index}.example" for index in range(number)]


async def finish(resolver: Resolver, tasks: list["asyncio.Task[Addresses]"]) -> None:
    resolver.end()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)


@pytest.mark.parametrize("number", [4, 40, 100])
async def test_names_without_an_answer_delay_no_other(resolver: Resolver, number: int) -> None:
    lookups = Lookups(resolver, patience_s=PATIENCE_S)
    waiting = begin(lookups, slow(number))
    assert await asyncio.wait_for(lookups.lookup("good.example"), 20)
    assert not any(task.done() for task in waiting)
    await finish(resolver, waiting)


async def test_a_name_that_answered_before_comes_before_new_ones(resolver: Resolver) -> None:
    lookups = Lookups(resolver, slots=1, patience_s=PATIENCE_S)
    await lookups.lookup("good.example")
    waiting = begin(lookups, slow(20))
    await until(lambda: len(resolver.asked) > 1)
    await asyncio.wait_for(lookups.lookup("good.example"), 5)
    assert len(resolver.asked) < 10
    await finish(resolver, waiting)


async def test_threads_are_bounded_and_names_that_were_slow_leave_room(resolver: Resolver) -> None:
    lookups = Lookups(resolver, slots=2, patience_s=PATIENCE_S, max_overdue=8, give_up_s=0.2)
    given_up = await asyncio.gather(*begin(lookups, slow(4)), return_exceptions=True)
    assert {type(outcome) for outcome in given_up} == {TimeoutError}
    resolver.end()
    await until(lambda: resolver.threads == 0)
    resolver._answers.clear()
    waiting = begin(lookups, slow(4))  # known to be slow: half of the room
    await until(lambda: resolver.threads == 4)
    waiting += begin(lookups, [f"slow.{index}.example" for index in range(50)])
    await until(lambda: resolver.threads == 10)
    await asyncio.sleep(4 * PATIENCE_S)
    assert resolver.threads == 10
    await finish(resolver, waiting)


async def test_a_name_is_asked_for_once_at_a_time(resolver: Resolver) -> None:
    lookups = Lookups(resolver, patience_s=PATIENCE_S, give_up_s=0.1)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
            await lookups.lookup("slow.example")
    assert resolver.asked == ["slow.example"]
    waiting = begin(lookups, ["slow.example"] * 5)
    resolver.end()
    assert {await task for task in waiting} == {("10.0.0.1",)}
    assert resolver.asked == ["slow.example"]


async def test_a_failure_is_told_to_the_caller(resolver: Resolver) -> None:
    lookups = Lookups(resolver)
    with pytest.raises(OSError, match="not known"):
        await lookups.lookup("a.invalid")
    assert await lookups.lookup("a.example")


async def test_a_cancelled_lookup_gives_its_place_back(resolver: Resolver) -> None:
    lookups = Lookups(resolver, slots=1, patience_s=PATIENCE_S)
    first, *others = begin(lookups, slow(5))
    await until(lambda: resolver.threads == 1)
    for task in (first, *others):
        task.cancel()
    await asyncio.gather(first, *others, return_exceptions=True)
    assert await asyncio.wait_for(lookups.lookup("good.example"), 5)
    await finish(resolver, [])


async def test_a_loop_may_end_before_its_lookups(resolver: Resolver) -> None:
    def begin_and_leave() -> None:
        async def ask() -> None:
            with pytest.raises(TimeoutError):
                await Lookups(resolver, give_up_s=0.05).lookup("slow.example")

        asyncio.run(ask())

    await asyncio.to_thread(begin_and_leave)
    assert resolver.threads == 1
