"""Names of API servers are looked up so that one without an answer holds up nothing else."""

import asyncio
import socket
import threading

import pytest

from controlplane.kube.resolver import NameResolver
from controlplane.system.lookups import Addresses, Lookups


def answer(host: str) -> Addresses:
    if host == "none.example":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return ("2001:db8::1", "192.0.2.1")


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (socket.AF_UNSPEC, ["2001:db8::1", "192.0.2.1"]),
        (socket.AF_INET, ["192.0.2.1"]),
        (socket.AF_INET6, ["2001:db8::1"]),
    ],
)
async def test_addresses_are_those_of_the_family(family: socket.AddressFamily, expected: list[str]) -> None:
    found = await NameResolver(Lookups(answer)).resolve("a.example", 6443, family)
    assert [each["host"] for each in found] == expected
    assert {(each["hostname"], each["port"]) for each in found} == {("a.example", 6443)}
    assert {each["family"] for each in found} <= {socket.AF_INET, socket.AF_INET6}


async def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OSError, match="not known"):
        await NameResolver(Lookups(answer)).resolve("none.example")


async def test_names_without_an_answer_occupy_no_thread_that_others_need() -> None:
    answers = threading.Event()

    def wait(host: str) -> Addresses:
        assert answers.wait(30)
        return ("192.0.2.1",)

    resolvers = [NameResolver(Lookups(wait)) for _ in range(40)]  # more than a loop has threads
    waiting = [asyncio.create_task(resolver.resolve("a.example")) for resolver in resolvers]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 20) == "done"
    assert not any(task.done() for task in waiting)
    answers.set()
    assert len(await asyncio.wait_for(asyncio.gather(*waiting), 20)) == 40
