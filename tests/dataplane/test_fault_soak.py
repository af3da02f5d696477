"""Every fault at once, and clients that leave in the middle: nothing is mixed up, nothing stays behind."""

import asyncio
import gc
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop
from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.configuration import SnapshotChange
from proxy.dataplane import DataPlane
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.h1.stream import Http1Stream
from proxy.model.actions import Backend, FixedResponse
from proxy.model.channel import parts_of
from proxy.model.policies import ConcurrencyLimit, HeaderChange, HeaderOperation, Mirror, Policies, Retry
from proxy.model.snapshot import Snapshot
from proxy.policies.limits import ConcurrencyLimiter
from proxy.request import mirror
from proxy.request.exchange import Exchange
from proxy.request.mirror import MirrorAttempt
from proxy.request.tunnel import Tunnel
from proxy.telemetry.access_log import AccessLog
from proxy.upstream.connections.abandoned import AbandonedResponse
from proxy.upstream.connections.h1 import connection
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.connections.h1.long_body import LongBodyReader
from proxy.upstream.connections.unacknowledged import AcknowledgementWatch
from proxy.upstream.detection.suspicion import Suspicion
from proxy.upstream.dialing.hedge import HedgedConnect
from proxy.upstream.dialing.pending import PendingConnect
from proxy.upstream.endpoint import State
from proxy.upstream.retries.failover import Failover
from tests.support.crowd import Crowd, Ledger
from tests.support.faulty import FaultyPod
from tests.support.inprocess import serving
from tests.support.misdeeds import ACTS
from tests.support.requests import request, tally
from tests.support.snapshots import route, service, snapshot, split
from tests.support.waiting import until

SEED = 20261121
SOAK_S = 6.0
CLIENTS = 40
RESPONSE_S = 1.0
ENDS_S = RESPONSE_S + 1.0 + 2.0
"""A request ends within its deadline and a second (I3); the rest is for a machine that others use."""

KINDS = (
    AbandonedResponse, AcknowledgementWatch, ClientConnection, Exchange, Failover, HedgedConnect, Http1Stream,
    LongBodyReader, MirrorAttempt, PendingConnect, Suspicion, Tunnel, UpstreamConnection,
)  # fmt: skip
FINE = ("-", "CF")


def soaked(port: int, pods: list[FaultyPod], copies: FaultyPod) -> Snapshot:
    """Two clusters of two pods; routes without policies, with some, with a time for each try."""
    policies = Policies(
        concurrency=ConcurrencyLimit(1000, FixedResponse(503, "too many")),
        mirror=Mirror((Backend("demo/copies:80"),), split(clusters=("c1",))),
        response_headers=(HeaderChange(HeaderOperation.SET, "X-Changed", "1"),),
    )
    routes = (
        route(port, "/plain", name="plain"),
        replace(route(port, "/policed", name="policed"), policies=policies),
        replace(route(port, "/retried", name="retried"), policies=Policies(retry=Retry(try_timeout_s=0.3))),
    )
    one, two, three, four = (pod.address for pod in pods)
    base = snapshot(port, {"c1": [one, two], "c2": [three, four]}, *routes)
    listener = replace(base.listeners[0], response_timeout_s=RESPONSE_S)
    mirrored = service({"c1": [copies.address]}, "demo/copies:80")
    return replace(base, listeners=(listener,), services=(*base.services, mirrored))


async def churn(plane: DataPlane, whole: Snapshot, random: Random) -> None:
    """Pods leave and come back, and rules are swapped, while requests are on their way there."""
    (wanted, *_) = whole.services
    for turn in count(2):
        gone = random.choice([endpoint for group in wanted.clusters for endpoint in group.endpoints])
        clusters = tuple(
            replace(group, endpoints=tuple(each for each in group.endpoints if each != gone))
            for group in wanted.clusters
        )
        plane.change_endpoints((replace(wanted, clusters=clusters),))
        await asyncio.sleep(random.uniform(0.0, 0.1))
        if turn % 8:
            plane.change_endpoints((wanted,))
        else:
            await plane.apply(SnapshotChange(replace(whole, version=turn), parts_of(whole)))
        await asyncio.sleep(random.uniform(0.0, 0.1))


def left_over(plane: DataPlane) -> dict[str, object]:
    """Return everything that requests take and have to give back; at rest there is nothing of it."""
    endpoints = list(plane.upstream.services.endpoints())
    connections = [each for endpoint in endpoints for each in endpoint.pool.streams()]
    limits = {id(endpoint.limits): endpoint.limits for endpoint in endpoints}.values()
    found: dict[str, object] = {
        "requests in flight": [endpoint for endpoint in endpoints if endpoint.in_flight],
        "connections in use": len(connections) - sum(endpoint.pool.idle() for endpoint in endpoints),
        "limits that count something else": sum(each.open for each in limits) - len(connections),
        "a total that counts something else": plane.upstream.services.tally.open - len(connections),
        "connects": [each for each in limits if each.opening],
        "requests that wait for a connection": [each for each in limits if each.waiting],
        "bytes kept for another attempt": plane.upstream.replay.held,
        "suspicions": plane.upstream.prober.suspicions,
        "endpoints that are watched": [endpoint for endpoint in endpoints if endpoint.is_watched],
        "tasks": asyncio.all_tasks() - {asyncio.current_task()},
    }
    return {name: what for name, what in found.items() if what}


def alive() -> dict[str, int]:
    """Return the objects of requests and connections that exist, garbage included."""
    found = Counter(type(each) for each in gc.get_objects())
    return {kind.__name__: found[kind] for kind in KINDS if found[kind]}


def let_in() -> int:
    """Return how many requests concurrency limits take to be in flight."""
    return sum(each.in_flight for each in gc.get_objects() if isinstance(each, ConcurrencyLimiter))


def timers(plane: DataPlane) -> Counter[str]:
    return Counter(type(timed).__name__ for slot in plane.wheel._slots.values() for timed in slot)


async def nothing_is_left(plane: DataPlane, before: Counter[str]) -> None:
    endpoints = list(plane.upstream.services.endpoints())
    await until(lambda: all(e.state is State.HEALTHY for e in endpoints), 30, "every pod is back")
    await empty(lambda: left_over(plane), 5.0)
    await empty(let_in, 1.0)
    await empty(alive, 8.0)  # idle connections to pods stay for four seconds
    await empty(lambda: timers(plane) - before, 2.0)


async def empty(look: Callable[[], object], within_s: float) -> None:
    """Wait until there is nothing to be seen; fail with what there is."""
    try:
        await until(lambda: not look(), within_s)
    except AssertionError:
        pytest.fail(f"left over: {look()}")


@dataclass
class Soaked:
    """What is known of a soak when it is over."""

    ledger: Ledger
    pods: list[FaultyPod]
    counted: Counter[tuple[str, str]]  # by flag and class of the status
    lines: list[dict[str, Any]]  # of the access log


def counts(plane: DataPlane) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for counters in plane.counters.all():
        for each in counters.requests():
            counted[each.flag, each.code_class] += each.count
    return counted


async def soak(path: Path) -> Soaked:
    random = Random(SEED)
    pods = [FaultyPod(Random(random.random())) for _ in range(5)]
    log = AccessLog(str(path))
    port = free_port()
    async with AsyncExitStack() as stack:
        for pod in pods:
            await stack.enter_async_context(pod)
        whole = soaked(port, pods[:4], pods[4])
        plane = await stack.enter_async_context(serving(whole))
        plane.log = log
        before, files = timers(plane), len(open_files())
        crowd = Crowd(port, random, CLIENTS)
        changing = asyncio.create_task(churn(plane, whole, Random(SEED)))
        await crowd.run(SOAK_S)
        changing.cancel()
        await asyncio.wait([changing])
        await plane.apply(SnapshotChange(whole, parts_of(whole)))
        for pod in pods:
            pod.is_calm = True
        answers = await tally(port, 40, request("/plain/after"))
        assert all(answer.startswith("#after#") for answer in answers), answers  # I5
        await nothing_is_left(plane, before)
        await empty(lambda: open_files()[files:], 5.0)
        counted = counts(plane)
        plane.log = None
    log.close()
    return Soaked(crowd.ledger, pods, counted, [json.loads(line) for line in path.read_bytes().splitlines()])


def open_files() -> list[str]:
    return os.listdir("/proc/self/fd")


def identity(line: dict[str, Any]) -> str:
    return str(line["path"]).rpartition("/")[2]


def test_invariants_hold_while_everything_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STREAM_IDLE_S", 1.0)
    monkeypatch.setattr(mirror, "TIMEOUT_S", 1.0)
    gc.collect()
    gc.disable()  # what is not needed any more must go without the collector
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            soaked = runner.run(soak(tmp_path / "access.log"))
    finally:
        gc.enable()
    assert not caplog.records  # I4, besides what `serving` looks at
    check_clients(soaked.ledger)
    check_pods(soaked.pods)
    check_log(soaked)


def check_clients(ledger: Ledger) -> None:
    """I1, I3; and that it was a soak."""
    assert ledger.foreign == []
    assert ledger.outcomes["hangs"] == 0
    assert ledger.slowest_s < ENDS_S
    assert ledger.outcomes["200"] > 200
    assert min(ledger.outcomes[what] for what in ("cut", "502", "504")) > 0


def check_pods(pods: list[FaultyPod]) -> None:
    """I1 for what is sent to pods, I2. Copies are no second execution: the last pod gets them."""
    assert [pod.broken for pod in pods] == [[]] * len(pods)
    posts: Counter[str] = Counter()
    acts: Counter[str] = Counter()
    for pod in pods[:4]:
        posts += pod.posts
        acts += pod.acts
    assert posts
    assert max(posts.values()) == 1
    assert set(acts) >= {name for name, _ in ACTS} | {"early", "head"}


def check_log(soaked: Soaked) -> None:
    """I7: each request has one line, the metrics say the same, and what failed says why."""
    lines = soaked.lines
    times = Counter(identity(line) for line in lines)
    del times["after"]
    assert max(times.values()) == 1
    assert soaked.counted == Counter((line["flag"], f"{line['status'] // 100}xx") for line in lines)
    explained = {identity(line) for line in lines if line["status"] >= 500 or line["flag"] not in FINE}
    failed = {each for each, what in soaked.ledger.seen.items() if what == "cut" or what.startswith("5")}
    assert failed - explained == set()
