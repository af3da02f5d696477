"""Each field of the channel's messages is set by the side that sends it and read by the side that gets it."""

import ast
import asyncio
import typing
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import proxy.agent
from controlplane.admin import views
from controlplane.admin.exposition import exposition
from controlplane.admin.failovers import failover_views
from controlplane.admin.metrics import Metrics
from controlplane.admin.state import State
from controlplane.observe.failovers import FailoverWatch
from controlplane.observe.unavailable import UnavailabilityTracker
from controlplane.publish import Certificates, Held, Publisher, SnapshotStore
from controlplane.publish.session import Session
from proxy.agent import Agent
from proxy.dataplane import DataPlane
from proxy.downstream.guards.descriptors import DescriptorBudget
from proxy.downstream.listener import Listeners
from proxy.model import channel, statistics
from proxy.model.channel import Ejection, Ejections, FromWorker, Hello, Hold, Holds, StatsJoiner, ToWorker
from proxy.model.snapshot import SCHEMA, Service
from tests.support.dataplane import snapshot
from tests.support.states import LISTENER, ROUTE, SERVICE, serving

ROOT = Path(__file__).parents[2]
CHANNEL = (channel.__name__, statistics.__name__)
RELAYED: tuple[type, ...] = (Ejections, Ejection, Holds, Hold)
"""The control plane passes these on as they are: workers read what workers wrote."""

SPECIAL = {
    "generation": "mine", "schema": SCHEMA, "listener": LISTENER, "route": ROUTE, "service": SERVICE,
    "cluster": "cluster-1", "from_cluster": "cluster-1", "to_cluster": "cluster-2", "address": "10.0.0.1",
    "port": 8080, "flag": "UF", "code_class": "5xx", "ingress": "shop/web", "phase": "open", "version": 7,
    "buckets": (1,) * 15, "snapshot": snapshot(7, 8001),
}  # fmt: skip


def _structs(hint: Any) -> dict[type[msgspec.Struct], None]:
    """Return the structs of the channel that a message contains."""
    found: dict[type[msgspec.Struct], None] = {}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if hint.__module__ in CHANNEL:
            found[hint] = None
            for field in typing.get_type_hints(hint).values():
                found |= _structs(field)
    else:
        for argument in typing.get_args(hint):
            found |= _structs(argument)
    return found


def _fields(union: Any, without: tuple[type, ...] = ()) -> set[tuple[str, str]]:
    return {
        (each.__name__, name)
        for each in _structs(union)
        for name in each.__struct_fields__
        if each not in without
    }


def _calls(*places: str) -> Iterator[ast.Call]:
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else path.rglob("*.py"):
            yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def _written(union: Any, *places: str) -> set[tuple[str, str]]:
    """Return the fields that some call in these places gives a value."""
    structs = {each.__name__: each.__struct_fields__ for each in _structs(union)}
    found = set[tuple[str, str]]()
    for call in _calls(*places):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in structs:
            is_spread = any(isinstance(argument, ast.Starred) for argument in call.args)
            given = structs[name] if is_spread else structs[name][: len(call.args)]
            found.update((name, field) for field in given)
            found.update((name, word.arg) for word in call.keywords if word.arg is not None)
    return found


@pytest.mark.parametrize(("union", "places"), [(FromWorker, ("proxy",)), (ToWorker, ("controlplane",))])
def test_every_field_of_a_message_is_written_by_its_sender(union: Any, places: tuple[str, ...]) -> None:
    without = () if union is FromWorker else RELAYED
    wanted = _fields(union, without)
    assert (
        sorted(wanted - _written(union, *places, "proxy/model/channel.py", "proxy/model/statistics.py")) == []
    )


class Recorder:
    """Stands in for a struct of the channel, and notes which of its fields are read."""

    def __init__(self, value: msgspec.Struct, read: set[tuple[str, str]]) -> None:
        self.__dict__.update(_value=value, _read=read)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__dict__["_value"])

    def __hash__(self) -> int:
        """Whoever keeps it in a set, or as a key, goes by all of it."""
        value, read = self.__dict__["_value"], self.__dict__["_read"]
        read.update((type(value).__name__, name) for name in value.__struct_fields__)
        return hash(value)

    def __eq__(self, other: object) -> bool:
        return bool(self.__dict__["_value"] == other)

    def __getattr__(self, name: str) -> Any:
        value, read = self.__dict__["_value"], self.__dict__["_read"]
        read.add((type(value).__name__, name))
        return recorded(getattr(value, name), read)


def recorded(value: Any, read: set[tuple[str, str]]) -> Any:
    if isinstance(value, tuple):
        return tuple(recorded(item, read) for item in value)
    if isinstance(value, msgspec.Struct) and type(value).__module__ in CHANNEL:
        return Recorder(value, read)
    return value


def made(hint: Any, name: str = "") -> Any:
    """Return a value of a type, made of what there is in the snapshot of these tests."""
    if name in SPECIAL:
        return SPECIAL[name]
    if hint is Service:
        return snapshot(7, 8001).services[0]
    if typing.get_origin(hint) is tuple:
        return (made(typing.get_args(hint)[0]),)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint(**{field: made(each, field) for field, each in typing.get_type_hints(hint).items()})
    values: dict[type, Any] = {
        str: "healthy",
        int: 3,
        float: 0.5,
        bool: True,
        bytes: b"\x90",
    }  # no routes, no services
    return values[hint]


async def test_the_control_plane_reads_every_field_that_a_worker_sends(tmp_path: Path) -> None:
    read = set[tuple[str, str]]()
    store, held = SnapshotStore(tmp_path / "snapshot.json"), Held(tmp_path / "held.json")
    publisher = Publisher(
        tmp_path / "socket", "mine", 1, store, held, Certificates(tmp_path / "certificates")
    )
    publisher.publish(snapshot(7, 8001))
    session = Session(publisher)
    parts = StatsJoiner()
    messages = sorted(typing.get_args(FromWorker), key=lambda kind: kind is not Hello)
    for kind in messages:
        if kind in RELAYED:
            continue
        message = made(kind)
        if parts.whole(message) is not None:
            publisher.received(session, recorded(message, read))
    parts_of_stats = (statistics.RequestCount, statistics.DurationHistogram, statistics.EndpointStats)
    read |= _fields(statistics.StatsPart, without=parts_of_stats)
    watch = FailoverWatch(publisher)
    watch.look()
    state = serving(
        workers=publisher.workers(), tally=publisher.totals, failovers=watch.latest(), worker_count=1
    )
    assert state.snapshot is not None
    UnavailabilityTracker().observe(state.snapshot, state.workers, state.now)
    _show(state)
    await held.close()
    await store.close()
    publisher._dispatcher.close()
    assert sorted(_fields(FromWorker, RELAYED) - read) == []


def _show(state: State) -> None:
    """Make everything of it that the admin API shows."""
    for view in (views.routes, views.clusters, views.endpoints, failover_views):
        assert view(state)
    assert views.overview(state)
    assert all(exposition(Metrics(state), ""))


async def test_a_worker_reads_every_field_that_the_control_plane_sends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = set[tuple[str, str]]()
    messages = [made(kind) for kind in typing.get_args(ToWorker)]
    framer = SimpleNamespace(feed=lambda _: [recorded(message, read) for message in messages])
    monkeypatch.setattr(proxy.agent, "to_worker_framer", lambda: framer)
    plane = DataPlane(asyncio.get_running_loop(), None)
    base = snapshot(1, 8001)
    plane.change_endpoints(base.services)
    graces: list[float] = []
    agent = Agent(
        0, "mine", plane, Listeners(plane, DescriptorBudget(1024), opens_sockets=False), graces.append, None
    )
    reader = asyncio.StreamReader()
    reader.feed_data(b"any")
    reader.feed_eof()
    writer = SimpleNamespace(write=lambda _: None)
    received: asyncio.Queue[Any] = asyncio.Queue()
    await agent._read(reader, writer, received, asyncio.Event())  # type: ignore[arg-type]
    await agent._apply(received.get_nowait())
    plane.upstream.stalls.stop()
    assert graces == [0.5]
    assert sorted(_fields(ToWorker) - read) == []
