"""One cell of the table: a drill before a proxy, from its start to its end."""

import asyncio
import gc
import signal
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic

import uvloop

from loadtest.drills import site as sites
from loadtest.drills import wire
from loadtest.drills.backends import Backends
from loadtest.drills.drills import Drill, Stage, Step
from loadtest.drills.http2 import Http2Load
from loadtest.drills.invariants import Watch
from loadtest.drills.load import Load, Request
from loadtest.drills.measure import Result, measure
from loadtest.drills.network import Network
from loadtest.drills.peers import Peer
from loadtest.drills.peers.fleetgate import Worker
from loadtest.drills.record import Period, Received, Record
from loadtest.kit.processes import CoreWaits, Started, module, on_cores, own_environment
from loadtest.kit.programs import Missing

LEAD_S = 0.3
"""Seconds from the start of the clock to the first request."""
TAP_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Rates in requests per second, times in seconds."""

    rate: int
    before_s: float
    fault_s: float
    after_s: float
    proxy_core: int
    load_core: int
    http2: bool = False  # the clients speak it


@dataclass(frozen=True, slots=True)
class Cell:
    """One run. `run` counts from 1, `at` is when it began (UTC).

    `violations`: of invariants, only looked for where the proxy is fleetgate.

    The effects of the machine on a result: `waited_s`, the time in which the proxy could have run and had no
    core (None: it has been replaced); `late_s`, the longest delay of a request's start after its due time.
    """

    drill: str
    peer: str
    run: int
    at: str
    result: Result
    violations: tuple[str, ...]
    waited_s: float | None
    late_s: float


def run(plan: Plan, drill: Drill, peer: Peer, number: int, directory: Path) -> Cell:
    """Start all processes, run the drill as run `number`, stop them. Raises StartError, Missing, OSError."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    directory.mkdir()
    for name in ("proxy", "backends"):
        (directory / name).mkdir()
    with ExitStack() as stack:
        network = stack.enter_context(Network()) if drill.needs_network else None
        address = network.address if network else sites.LOOPBACK
        site = sites.new(directory / "proxy", address, http2=plan.http2)
        enter = {sites.HIT: network.enter} if network else {}
        backends = stack.enter_context(Backends(site, plan.load_core, directory / "backends", enter))
        tap = stack.enter_context(_tapped(site.backends, directory, plan.load_core))
        proxy = peer.start(site, plan.proxy_core)
        stack.callback(proxy.stop)
        watch = Watch(proxy, site) if isinstance(proxy, Worker) else None
        waits = CoreWaits(proxy.pid)
        steps = drill.schedule(plan.before_s, plan.fault_s)
        stage = Stage(backends, proxy, network)
        with on_cores(plan.load_core):
            drilled = _completed(_drill(plan, drill, steps, stage, site.port, watch, number))
        waited_s = _waited(waits)
        everything = [*drilled.load.requests, *drilled.load.slow]
        _write_requests(directory / "requests", everything)
        if watch is not None:
            watch.at_end(everything)
        record = _record(plan, steps, drilled, site, backends, tap)
    result = measure(record, drill.evidence_s)
    violations = watch.violations(result) if watch else ()
    late_s = drilled.load.worst_late_s
    return Cell(drill.name, peer.name, number, at, result, violations, waited_s, late_s)


@dataclass(frozen=True, slots=True)
class _Drilled:
    load: Load
    start: float
    taken: list[Period]  # each step


def leave(*_: object) -> None:
    """On SIGTERM: raise the exception whose handling stops all started processes."""
    raise SystemExit(128 + signal.SIGTERM)


def _completed(drill: Coroutine[object, object, _Drilled]) -> _Drilled:
    try:
        return uvloop.run(drill)
    except asyncio.CancelledError:
        leave()
        raise
    finally:
        signal.signal(signal.SIGTERM, leave)


async def _drill(
    plan: Plan, drill: Drill, steps: list[Step], stage: Stage, port: int, watch: Watch | None, number: int
) -> _Drilled:
    over = Event()
    task = asyncio.current_task()
    assert task is not None
    # An exception of the usual handler could end in any callback of the loop
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    prefix = f"{time.time_ns() // 1000 % 10**8:08d}x"
    load = (Http2Load if plan.http2 else Load)(port, plan.rate, prefix, number, drill.slow_every_s)
    start = monotonic() + LEAD_S
    hit = start + plan.before_s
    gc.collect()
    gc.disable()  # the pauses would be taken for the proxy's
    try:
        _, taken = await asyncio.gather(
            load.run(start, plan.before_s + plan.fault_s + plan.after_s),
            asyncio.to_thread(_take, steps, stage, hit, watch, over),
        )
    finally:
        gc.enable()
        over.set()
        load.close()
        await asyncio.sleep(0)
    return _Drilled(load, start, taken)


def _take(steps: list[Step], stage: Stage, hit: float, watch: Watch | None, over: Event) -> list[Period]:
    """Take the steps at their times, in a thread of its own; return when they were begun and done."""
    taken = []
    for step in steps:
        if over.wait(hit + step.at - monotonic()):
            break
        if watch is not None and step.at == 0:
            watch.at_hit()
        begun = monotonic()
        step.action(stage)
        taken.append(Period(begun, monotonic()))
    return taken


def _write_requests(path: Path, requests: Sequence[Request]) -> None:
    """A line for each: when it was due and when it ended, the method, the id, the status."""
    lines = [
        f"{each.due:.6f} {each.ended:.6f} {'POST' if each.is_post else 'GET'} {each.identity} {each.status}\n"
        for each in requests
    ]
    path.write_text("".join(lines))


def _waited(waits: CoreWaits) -> float | None:
    try:
        return waits.seconds()
    except OSError:  # a reload of nginx has ended the process
        return None


@contextmanager
def _tapped(ports: list[int], directory: Path, core: int) -> Iterator[Path | None]:
    """Yield the file of the traffic to the ports; None where reading the wire is not permitted."""
    path = directory / "wire"
    (directory / "tap").mkdir()
    command = module("loadtest.drills.wire", *map(str, ports))
    process = Started(command, directory / "tap", (core,), stdout=path, environment=own_environment())
    try:
        deadline = monotonic() + TAP_S
        while not path.stat().st_size and not process.has_ended and monotonic() < deadline:
            time.sleep(0.01)
        yield path if path.stat().st_size else None
    finally:
        process.stop()


def faults(steps: Sequence[Step], taken: Sequence[Period]) -> tuple[float, float, tuple[Period, ...]]:
    """Return when the cluster was hit, when it was healed for good, and its faults in between."""
    begins = [when.since for step, when in zip(steps, taken, strict=True) if not step.ends_fault]
    ends = [when.until for step, when in zip(steps, taken, strict=True) if step.ends_fault]
    if steps[0].at < 0:  # the end of a fault that was there from the beginning
        return ends[0], ends[0], ()
    return begins[0], ends[-1], tuple(map(Period, begins, ends))


def _record(
    plan: Plan,
    steps: Sequence[Step],
    drilled: _Drilled,
    site: sites.Site,
    backends: Backends,
    tap: Path | None,
) -> Record:
    hit, healed, between = faults(steps, drilled.taken)
    return Record(
        rate=plan.rate,
        start=drilled.start,
        hit=hit,
        healed=healed,
        end=drilled.start + plan.before_s + plan.fault_s + plan.after_s,
        faults=between,
        requests=drilled.load.requests,
        received=[each for name in site.clusters for each in _received(name, backends.log(name))],
        wire=wire.parse(tap.read_text()) if tap else None,
        hit_ports=site.clusters[sites.HIT],
        slow=drilled.load.slow,
    )


def _received(cluster: str, lines: list[str]) -> Iterator[Received]:
    for line in lines:
        at, method, identity, arrival = line.split(" ")
        yield Received(float(at), cluster, method, identity, arrival)


def why_not(drill: Drill) -> str:
    """Return why the drill cannot be done on this machine, empty when it can."""
    if drill.needs_network:
        try:
            with Network():
                pass
        except Missing as reason:
            return str(reason)
    return ""
