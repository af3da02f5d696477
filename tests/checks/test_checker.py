"""Which checks are made, how often and for whom; and what becomes of verdicts when they change."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import pytest
from msgspec.structs import replace

from controlplane.checks import Checker, checker
from controlplane.checks.changelog import ChangeLog
from controlplane.checks.checker import CheckView
from controlplane.checks.verdict import Verdict
from proxy.model.snapshot import Endpoint, HealthCheck, Service
from tests.support.origin import Connection, Origin, ok
from tests.support.snapshots import service
from tests.support.waiting import until

CHECK = HealthCheck(interval_s=0.05, timeout_s=2.0)
A, B = "demo/a:80", "demo/b:80"


def checked(*ports: int, name: str = A, check: HealthCheck = CHECK, address: str = "127.0.0.1") -> Service:
    return replace(service({"c1": [(address, port) for port in ports]}, name), health=check)


def bad(_connection: Connection, _request: h11.Request) -> bytes:
    return b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"


def silent(_connection: Connection, _request: h11.Request) -> bytes:
    return b""


class Changes:
    """Counts changes of verdicts; `after` says how many requests the origin had got by each."""

    def __init__(self, origin: Origin | None) -> None:
        self._origin = origin
        self.after: list[int] = []

    @property
    def count(self) -> int:
        return len(self.after)

    def __call__(self) -> None:
        self.after.append(len(self._origin.requests) if self._origin is not None else 0)


@asynccontextmanager
async def checking(
    *services: Service, origin: Origin | None = None
) -> AsyncIterator[tuple[Checker, Changes]]:
    changes = Changes(origin)
    running = Checker(changes)
    running.want(services)
    try:
        yield running, changes
    finally:
        await running.close()
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("check ")] == []


def view(running: Checker, port: int, name: str = A) -> CheckView:
    return running.views()[name, "c1", "127.0.0.1", port]


def fails(running: Checker, port: int, check: HealthCheck = CHECK) -> bool:
    return running.is_failing(Endpoint("127.0.0.1", port), check)


async def test_a_verdict_changes_once_each_way_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with Origin(bad) as origin, checking(checked(origin.port), origin=origin) as (running, changes):
        assert not fails(running, origin.port)
        await until(lambda: fails(running, origin.port))
        assert changes.after == [CHECK.unhealthy]
        assert view(running, origin.port).last_cause == "status 500"
        await until(lambda: len(origin.requests) >= 6)
        assert changes.count == 1
        origin.forget()
        origin.answer = ok
        await until(lambda: not fails(running, origin.port))
        assert changes.count == 2
        assert CHECK.healthy <= changes.after[1] <= CHECK.healthy + 1  # one may have been under way
    told = [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name.startswith("controlplane.checks")
    ]
    assert told == [("WARNING", "endpoint unhealthy"), ("INFO", "endpoint healthy again")]


async def test_a_cluster_that_dies_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.checks.changelog.MAX_LINES", 3)
    monkeypatch.setattr("controlplane.checks.changelog.WINDOW_S", 1.0)
    async with Origin(bad, host="0.0.0.0") as origin:
        services = [checked(origin.port, name=f"demo/s{n}:80", address=f"127.0.0.{n}") for n in range(1, 9)]
        async with checking(*services) as (_, changes):
            await until(lambda: changes.count == 8)
            await until(lambda: any("more endpoints" in text for text in caplog.messages))
    lines = [record for record in caplog.records if record.name.startswith("controlplane.checks")]
    assert [record.getMessage() for record in lines[:3]] == ["endpoint unhealthy"] * 3
    assert (len(lines), lines[3].__dict__["count"]) == (4, 5)


async def test_each_namespace_has_its_lines_when_a_cluster_dies(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.checks.changelog.MAX_LINES", 3)
    failing = Verdict(0.0, failing=True, last_cause="refused")
    changes = ChangeLog(logging.getLogger("controlplane.checks"))
    for number in range(100):
        changes.changed(failing, "192.0.2.1", number, [(f"noisy/s{number}:80", "c1")])
    changes.changed(failing, "192.0.2.2", 80, [("quiet/web:80", "c1")])
    changes.close()
    assert [record.__dict__["service"] for record in caplog.records][3:] == ["quiet/web:80"]


async def test_one_check_serves_all_that_share_it() -> None:
    async with Origin() as origin:
        services = checked(origin.port), checked(origin.port, name=B)
        async with checking(*services) as (running, _):
            await until(lambda: running.counts[A, "c1", "passed"] >= 5)
            assert len(running.views()) == 2
            assert running.counts[B, "c1", "passed"] == running.counts[A, "c1", "passed"]
            assert len(origin.connections) <= running.counts[A, "c1", "passed"] + 1


async def test_different_checks_of_an_address_have_verdicts_of_their_own() -> None:
    missing = replace(CHECK, path="/missing", statuses=(4,))
    async with Origin() as origin:
        services = checked(origin.port), checked(origin.port, name=B, check=missing)
        async with checking(*services) as (running, changes):
            await until(lambda: changes.count)
            assert (fails(running, origin.port), fails(running, origin.port, missing)) == (False, True)
            assert view(running, origin.port, B).failing


async def test_the_port_of_the_check_is_asked_for_the_endpoint() -> None:
    async with Origin() as idle, Origin(bad) as origin:
        elsewhere, port = replace(CHECK, port=origin.port), idle.port
        async with checking(checked(port, check=elsewhere)) as (running, _):
            await until(lambda: fails(running, port, elsewhere))
            assert view(running, port).last_cause == "status 500"
            assert idle.connections == []


async def test_counts_of_a_service_end_with_its_checks() -> None:
    async with (
        Origin() as origin,
        checking(checked(origin.port), checked(origin.port, name=B)) as (running, _),
    ):
        await until(lambda: running.counts[A, "c1", "passed"] >= 2)
        running.want([checked(origin.port, name=B)])
        assert {service for service, _, _ in running.counts} == {B}


async def test_a_retranslation_restarts_nothing() -> None:
    slow = replace(CHECK, interval_s=0.2)
    async with Origin(bad) as origin, checking(checked(origin.port, check=slow)) as (running, _):

        def retranslated() -> bool:
            running.want([checked(origin.port, check=slow)])
            return fails(running, origin.port, slow)

        await until(retranslated)


async def test_a_removed_check_ends_at_once_even_while_it_waits() -> None:
    async with Origin(silent) as origin, checking(checked(origin.port)) as (running, changes):
        await until(lambda: origin.requests)
        running.want([replace(checked(origin.port), health=None)])
        async with asyncio.timeout(1):  # its timeout is 2 s
            await origin.connections[0].lost.wait()
        assert not fails(running, origin.port)
        assert running.views() == {}
        assert running.counts == {}
        assert (len(origin.requests), changes.count) == (1, 0)


async def test_a_changed_check_replaces_the_old_one_and_keeps_its_verdict() -> None:
    changed = replace(CHECK, path="/other", interval_s=0.1)
    async with Origin(bad) as origin, checking(checked(origin.port)) as (running, changes):
        await until(lambda: fails(running, origin.port))
        origin.forget()
        origin.answer = ok
        running.want([checked(origin.port, check=changed)])
        assert fails(running, origin.port, changed)
        await until(lambda: not fails(running, origin.port, changed))
        assert changes.count == 2
        assert {request.target for request, _ in origin.requests} <= {b"/", b"/other"}
        assert sum(request.target == b"/" for request, _ in origin.requests) <= 1  # it was under way


async def test_an_endpoint_that_failed_in_an_earlier_life_fails_until_it_passes() -> None:
    async with Origin() as origin:
        known = checked(origin.port)
        group = replace(known.clusters[0], endpoints=(Endpoint("127.0.0.1", origin.port, failing=True),))
        known = replace(known, clusters=(group,))
        async with checking(known, origin=origin) as (running, changes):
            assert fails(running, origin.port)
            await until(lambda: not fails(running, origin.port))
            assert changes.after == [CHECK.healthy]
            changed = replace(CHECK, path="/other")
            running.want([replace(known, health=changed)])  # of a member that is not listed yet
            assert not fails(running, origin.port, changed)


async def test_so_many_checks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "AT_ONCE", 2)
    addresses = [(f"127.0.0.{n}", 0) for n in range(1, 11)]
    async with Origin(silent, host="0.0.0.0") as origin:
        hangs = replace(
            service({"c1": [(address, origin.port) for address, _ in addresses]}, A),
            health=replace(CHECK, timeout_s=0.1),
        )
        most = 0
        async with checking(hangs) as (running, _):

            def all_fail() -> bool:
                nonlocal most
                most = max(most, sum(not connection.lost.is_set() for connection in origin.connections))
                return sum(each.failing for each in running.views().values()) == len(addresses)

            await until(all_fail)
        assert 2 <= most <= 5  # 2 that passed so far and 2 that fail; one may have ended unseen


async def test_checks_that_hang_do_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "AT_ONCE", 1)
    hanging, forever = replace(CHECK, timeout_s=0.1), replace(CHECK, timeout_s=60.0)
    async with (
        Origin(silent) as dead,
        Origin() as alive,
        checking(checked(dead.port, check=hanging)) as (running, _),
    ):
        await until(lambda: fails(running, dead.port, hanging))
        running.want([checked(dead.port, check=forever), checked(alive.port, name=B)])
        await until(lambda: running.counts[B, "c1", "passed"] >= 3)


async def test_first_checks_are_spread_over_the_interval() -> None:
    async with Origin(host="0.0.0.0") as origin:
        many = replace(
            service({"c1": [(f"127.0.1.{n}", origin.port) for n in range(1, 101)]}, A),
            health=replace(CHECK, interval_s=1.0),
        )
        async with checking(many) as (running, _):
            counts = running.counts
            await until(lambda: counts[A, "c1", "passed"])
            began = asyncio.get_running_loop().time()
            await until(lambda: counts[A, "c1", "passed"] >= 80)
            assert asyncio.get_running_loop().time() - began > 0.5
