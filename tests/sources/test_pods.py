"""Pods of members are watched where their labels matter, and nowhere else."""

import asyncio
from typing import Any

from controlplane.sources.fleet import Fleet
from tests.sources.conftest import Start, World
from tests.support.fakeapi import Exchange
from tests.support.objects import endpoint_slice, service
from tests.support.waiting import until

DEMO = frozenset({"demo"})
ONE = frozenset({"one"})


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "demo", "labels": labels}, "spec": {"nodeName": "n1"}}


async def attached(world: World, start: Start) -> Fleet:
    world.one.store.put("services", service("web"))
    world.one.store.put("endpointslices", endpoint_slice("web-1", "10.0.0.1"))
    fleet: Fleet = await start(one=world.file("one", world.kubeconfig(world.one)))
    fleet.attach(ONE)
    await until(lambda: fleet.health()[0].synced)
    return fleet


def pods_of(fleet: Fleet) -> dict[str, dict[str, str]]:
    known = fleet.member_objects()["one"].pods.get("demo", {})
    return {key: pod.metadata.labels for key, pod in known.items()}


async def test_pods_are_watched_from_when_they_are_wanted_until_they_are_not(
    world: World, start: Start
) -> None:
    world.one.store.put("pods", pod("a", version="v1"))
    fleet = await attached(world, start)
    assert not [request for request in world.one.requests if request.path.endswith("pods")]
    fleet.attach(ONE, DEMO)
    assert fleet.waits_for_pods()
    await until(lambda: pods_of(fleet) == {"demo/a": {"version": "v1"}})
    assert not fleet.waits_for_pods()
    world.one.store.put("pods", pod("a", version="v2"))
    await until(lambda: pods_of(fleet) == {"demo/a": {"version": "v2"}})
    fleet.attach(ONE)
    assert fleet.member_objects()["one"].pods == {}
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "one pods"])
    assert fleet.health()[0].synced
    fleet.attach(ONE, DEMO)
    await until(lambda: pods_of(fleet) == {"demo/a": {"version": "v2"}})


async def test_only_metadata_of_the_namespace_is_asked_for(world: World, start: Start) -> None:
    fleet = await attached(world, start)
    fleet.attach(ONE, DEMO)
    await until(lambda: world.one.seen("watch pods"))
    ask = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json"
    (listed,), (watched, *_) = world.one.seen("list pods"), world.one.seen("watch pods")
    assert listed.headers["accept"] == ask.format("List")
    assert watched.headers["accept"] == ask.format("")
    assert {listed.path, watched.path} == {"/api/v1/namespaces/demo/pods"}
    assert world.one.seen("list services")[0].headers["accept"] == "application/json"


async def test_a_member_that_forbids_pods_is_current_all_the_same(world: World, start: Start) -> None:
    async def forbid(exchange: Exchange) -> None:
        await exchange.fail(403, "Forbidden", "pods is forbidden")

    world.one.always["list pods"] = forbid
    fleet = await attached(world, start)
    fleet.attach(ONE, DEMO)
    before = world.changes
    await until(lambda: fleet.member_objects()["one"].pods_denied == DEMO)
    assert world.changes > before
    member = fleet.member_objects()["one"]
    assert (member.pods, member.synced, member.stale) == ({}, True, False)
    assert not fleet.waits_for_pods()
    assert fleet.health()[0].last_error == ""


async def test_pods_outlive_new_credentials(world: World, start: Start) -> None:
    world.one.store.put("pods", pod("a", version="v1"))
    world.register("one", world.one)
    fleet: Fleet = await start()
    fleet.attach(ONE, DEMO)
    await until(lambda: fleet.member_objects().get("one") and pods_of(fleet))
    lists = len(world.one.seen("list pods"))
    world.register("one", world.one, token="other")
    await until(lambda: len(world.one.seen("list pods")) > lists)
    assert pods_of(fleet) == {"demo/a": {"version": "v1"}}
    world.one.store.put("pods", pod("b", version="v2"))
    await until(lambda: set(pods_of(fleet)) == {"demo/a", "demo/b"})
