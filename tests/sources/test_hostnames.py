"""Host names are asked for again and again, and what is known survives every failure."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from controlplane.sources.hostnames import MAX_ADDRESSES, MAX_RETRY_S, REFRESH_S, RETRY_S, HostResolver
from controlplane.translate.model import HostAddresses
from tests.support.clock import FakeClock
from tests.support.waiting import until

Answer = tuple[str, ...] | Exception


class Dns:
    """Answers as told; `asked` counts by name. A name without an answer waits."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.changes = 0
        self.clock = FakeClock(auto=False, chance=0.5)
        self.resolver = HostResolver(self._changed, lookup=self._lookup, clock=self.clock.clock)

    def _changed(self) -> None:
        self.changes += 1

    async def _lookup(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        while host not in self.answers:
            await asyncio.sleep(0.001)
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def dns() -> AsyncIterator[Dns]:
    made = Dns()
    task = asyncio.create_task(made.resolver.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_names_are_resolved_at_once_and_again_every_half_minute(dns: Dns) -> None:
    dns.answers["a.example"] = ("10.0.0.2", "10.0.0.1", "10.0.0.2")
    dns.resolver.want(frozenset({"a.example"}))
    assert dns.resolver.waits()
    await until(lambda: dns.resolver.known() == {"a.example": HostAddresses(("10.0.0.1", "10.0.0.2"))})
    assert not dns.resolver.waits()
    await dns.clock.asleep()
    await dns.clock.advance(REFRESH_S - 0.1)
    assert dns.asked == ["a.example"]
    dns.answers["a.example"] = ("10.0.0.3",)
    await dns.clock.advance(0.1)
    await until(lambda: dns.resolver.known() == {"a.example": HostAddresses(("10.0.0.3",))})
    assert dns.changes == 2
    await dns.clock.asleep()
    await dns.clock.advance(REFRESH_S)
    await until(lambda: len(dns.asked) == 3)
    assert dns.changes == 2  # the same answer is no news


async def test_a_failure_keeps_the_last_addresses_and_says_why(dns: Dns) -> None:
    dns.answers["a.example"] = ("10.0.0.1",)
    dns.resolver.want(frozenset({"a.example"}))
    await until(lambda: not dns.resolver.waits())
    failures: tuple[tuple[Answer, str], ...] = (
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary failure"),
        (UnicodeError("label too long"), "label too long"),
        ((), "no address"),
    )
    for answer, cause in failures:
        dns.answers["a.example"] = answer
        await dns.clock.asleep()
        await dns.clock.advance(REFRESH_S)
        await until(lambda cause=cause: cause in dns.resolver.known()["a.example"].problem)  # type: ignore[misc]
        assert dns.resolver.known()["a.example"].addresses == ("10.0.0.1",)
    dns.answers["a.example"] = ("10.0.0.1",)
    await dns.clock.asleep()
    await dns.clock.advance(REFRESH_S)
    await until(lambda: dns.resolver.known()["a.example"] == HostAddresses(("10.0.0.1",)))


async def test_a_name_that_never_had_an_address_is_asked_for_more_often(dns: Dns) -> None:
    dns.answers["a.example"] = OSError("no DNS server")
    dns.resolver.want(frozenset({"a.example"}))
    await until(lambda: not dns.resolver.waits())
    assert dns.resolver.known() == {"a.example": HostAddresses((), "no DNS server")}
    await dns.clock.asleep()
    await dns.clock.advance(RETRY_S)
    await until(lambda: len(dns.asked) == 2)


async def test_a_name_without_an_address_is_asked_for_less_and_less_often(dns: Dns) -> None:
    dns.answers["a.example"] = OSError("no such name")
    dns.resolver.want(frozenset({"a.example"}))
    pauses = [5.0, 10.0, 20.0, 40.0, MAX_RETRY_S, MAX_RETRY_S]
    for times, pause in enumerate(pauses, 1):
        await until(lambda times=times: len(dns.asked) == times)  # type: ignore[misc]
        await dns.clock.asleep()
        await dns.clock.advance(pause - 0.1)
        assert len(dns.asked) == times
        await dns.clock.advance(0.1)
    dns.answers["a.example"] = ("10.0.0.1",)
    await dns.clock.asleep()
    await dns.clock.advance(MAX_RETRY_S)
    await until(lambda: dns.resolver.known()["a.example"].addresses == ("10.0.0.1",))


async def test_one_name_that_gets_no_answer_holds_up_no_other(dns: Dns) -> None:
    dns.answers["b.example"] = ("10.0.0.1",)
    dns.resolver.want(frozenset({"a.example", "b.example"}))
    await until(lambda: "b.example" in dns.resolver.known())
    assert dns.resolver.waits()


async def test_names_that_are_not_wanted_any_more_are_forgotten(dns: Dns) -> None:
    dns.answers = {"a.example": ("10.0.0.1",), "b.example": ("10.0.0.2",)}
    dns.resolver.want(frozenset(dns.answers))
    await until(lambda: not dns.resolver.waits())
    dns.resolver.want(frozenset({"b.example"}))
    assert set(dns.resolver.known()) == {"b.example"}
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "resolve a.example"])
    await dns.clock.advance(2 * REFRESH_S)
    assert dns.asked.count("a.example") == 1


async def test_no_name_has_more_addresses_than_can_be_used(dns: Dns) -> None:
    dns.answers["a.example"] = tuple(f"10.0.{number}.1" for number in range(256))
    dns.resolver.want(frozenset({"a.example"}))
    await until(lambda: not dns.resolver.waits())
    assert len(dns.resolver.known()["a.example"].addresses) == MAX_ADDRESSES


async def test_the_operating_system_resolves(dns: Dns) -> None:
    resolver = HostResolver(lambda: None)
    task = asyncio.create_task(resolver.run())
    resolver.want(frozenset({"localhost", "a.b.invalid"}))
    await until(lambda: not resolver.waits(), deadline_s=40)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert {*resolver.known()["localhost"].addresses} <= {"127.0.0.1", "::1"}
    assert resolver.known()["localhost"].problem == ""
    assert resolver.known()["a.b.invalid"].problem
