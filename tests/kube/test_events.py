"""Events say something once, survive restarts without doubles, and never flood."""

from collections.abc import Callable, Coroutine
from typing import Any

from controlplane.kube.client import ApiClient
from controlplane.kube.events import BOUNDS, EventRecorder, EventSubject
from tests.support.clock import FakeClock
from tests.support.fakeapi import FakeApi
from tests.support.waiting import until

Spawn = Callable[[Coroutine[Any, Any, None]], Any]

INGRESS = EventSubject("networking.k8s.io/v1", "Ingress", "demo", "web", "u1", 3)
ALBCONFIG = EventSubject("alibabacloud.com/v1", "AlbConfig", "", "gateway", "u2", 1)


async def test_an_event_is_what_kubectl_describe_looks_for(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    spawn(recorder.run())
    recorder.record(INGRESS, "Warning", "InvalidAnnotation", "FG0201 weight:\n not a number")
    await until(lambda: api.store.objects["events"])
    (event,) = api.store.objects["events"].values()
    assert event["involvedObject"] == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "namespace": "demo",
        "name": "web",
        "uid": "u1",
    }
    assert event["metadata"]["namespace"] == "demo"
    assert event["message"] == "FG0201 weight: not a number"
    assert event["reportingComponent"] == "fleetgate"
    assert event["reportingInstance"] == "gateway-1"
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "InvalidAnnotation", 1)


async def test_events_of_cluster_scoped_objects_are_in_the_default_namespace(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    spawn(recorder.run())
    recorder.record(ALBCONFIG, "Normal", "Synced", "ok")
    await until(lambda: api.store.objects["events"])
    (event,) = api.store.objects["events"].values()
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


async def test_the_same_again_is_counted_and_only_after_a_while(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    spawn(recorder.run())
    for _ in range(100):
        recorder.record(INGRESS, "Warning", "Conflict", "taken", about="FG0101")
    await until(lambda: recorder.counters.written == 1)
    recorder.record(INGRESS, "Warning", "Conflict", "taken", about="FG0101")
    assert recorder.pending == 0
    clock.now_s += 301
    recorder.record(INGRESS, "Warning", "Conflict", "taken", about="FG0101")
    await until(lambda: recorder.counters.repeated == 1)
    (event,) = api.store.objects["events"].values()
    assert event["count"] == 2
    assert event["lastTimestamp"] > event["firstTimestamp"]


async def test_a_repetition_of_a_forgotten_event_writes_it_again(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    spawn(recorder.run())
    recorder.record(INGRESS, "Warning", "Conflict", "taken")
    await until(lambda: recorder.counters.written == 1)
    api.store.objects["events"].clear()
    clock.now_s += 3600
    recorder.record(INGRESS, "Warning", "Conflict", "taken")
    await until(lambda: len(api.store.objects["events"]) == 1)


async def test_a_restarted_gateway_writes_no_second_one(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    for _ in range(2):
        recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
        task = spawn(recorder.run())
        recorder.record(INGRESS, "Warning", "Conflict", "taken")
        await until(lambda: recorder.pending == 0)  # noqa: B023
        task.cancel()
    assert len(api.store.objects["events"]) == 1


async def test_another_generation_or_field_is_another_event(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    spawn(recorder.run())
    newer = EventSubject("networking.k8s.io/v1", "Ingress", "demo", "web", "u1", 4)
    recorder.record(INGRESS, "Warning", "InvalidAnnotation", "x", about="FG0201 a")
    recorder.record(INGRESS, "Warning", "InvalidAnnotation", "x", about="FG0201 b")
    recorder.record(newer, "Warning", "InvalidAnnotation", "x", about="FG0201 a")
    await until(lambda: recorder.counters.written == 3)


async def test_a_flood_is_slowed_down_and_bounded(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    for number in range(1500):
        for subject in (INGRESS, ALBCONFIG, of(f"web-{number}"), of("web", f"team-{number}")):
            recorder.record(subject, "Warning", "Conflict", "taken", about=str(number))
    assert recorder.pending_in("demo") == BOUNDS.of_namespace
    assert recorder.pending_in("") == BOUNDS.of_object
    assert BOUNDS.whole <= recorder.pending <= BOUNDS.whole + 1500 * BOUNDS.least
    assert recorder.counters.dropped == 4 * 1500 - recorder.pending
    started = clock.now_s
    spawn(recorder.run())
    await until(lambda: recorder.counters.written >= 100)
    assert clock.now_s - started >= 9


def of(name: str, namespace: str = "demo") -> EventSubject:
    return EventSubject("networking.k8s.io/v1", "Ingress", namespace, name, f"{namespace}-{name}", 1)


async def test_one_namespace_does_not_hold_up_another_nor_one_object_its_neighbours(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    for number in range(8000):
        recorder.record(of("noisy"), "Warning", "Conflict", "taken", about=str(number))
        recorder.record(of(f"web-{number}"), "Warning", "Conflict", "taken")
    assert recorder.record(of("web", "quiet"), "Warning", "Conflict", "taken")
    started = clock.now_s
    spawn(recorder.run())
    await until(lambda: any(key.startswith("quiet/") for key in api.store.objects["events"]))
    assert clock.now_s - started < 1
    await until(lambda: recorder.pending == 0)
    paths = [request.path for request in api.seen("create events")]
    assert paths.index("/api/v1/namespaces/quiet/events") == 1
    assert BOUNDS.of_object <= recorder.counters.written <= BOUNDS.of_namespace + 1


async def test_an_event_that_could_not_be_sent_is_the_next_one(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    await api.stop()
    for namespace in ("a", "b"):
        recorder.record(of("web", namespace), "Warning", "Conflict", "taken")
    spawn(recorder.run())
    await until(lambda: not client._contact.is_set())
    await api.start()
    await until(lambda: recorder.pending == 0)
    assert [key.partition("/")[0] for key in api.store.objects["events"]] == ["a", "b"]


async def test_a_long_note_is_cut_to_what_the_api_takes(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    spawn(recorder.run())
    recorder.record(INGRESS, "Warning", "Conflict", "ä" * 2000)
    await until(lambda: api.store.objects["events"])
    (event,) = api.store.objects["events"].values()
    assert len(event["message"].encode()) <= 1000


async def test_a_new_occurrence_is_counted_after_a_restart_and_the_same_one_is_not(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    for since, count, note in ((0.0, 1, "first"), (0.0, 1, "first"), (60.0, 2, "third")):
        begun = clock._now().timestamp() + since
        clock.now_s += since + 1
        recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
        task = spawn(recorder.run())
        assert recorder.record(INGRESS, "Warning", "ClusterFailedOver", note, since=begun)
        await until(lambda: recorder.pending == 0)  # noqa: B023
        task.cancel()
        (event,) = api.store.objects["events"].values()
        assert (event["count"], event["message"]) == (count, note)


async def test_a_caller_is_told_whether_its_event_was_taken(client: ApiClient, clock: FakeClock) -> None:
    recorder = EventRecorder(client, "gateway-1", clock=clock.clock)
    assert recorder.record(INGRESS, "Warning", "Conflict", "taken")
    assert not recorder.record(INGRESS, "Warning", "Conflict", "taken")
