"""Members join, change credentials, fall silent and leave, while the others go on."""

import asyncio
from collections.abc import Callable

import pytest

from controlplane.resources.kinds import INGRESSES, MSE_INGRESS_CONFIGS
from controlplane.translate.annotations.effective_shares import KEY as SHARES_KEY
from tests.sources.conftest import Start, World, secret
from tests.support.fakeapi import Exchange
from tests.support.objects import endpoint_slice, ingress, service
from tests.support.waiting import until


async def test_objects_of_the_fleet_and_of_attached_members_are_watched(world: World, start: Start) -> None:
    world.api.store.put("ingresses", ingress("web"))
    world.one.store.put("services", service("web"))
    world.one.store.put("endpointslices", endpoint_slice("web-1", "10.0.0.1"))
    fleet = await start(one=world.file("one", world.kubeconfig(world.one)))
    assert set(fleet.fleet_objects().ingresses) == {"demo/web"}
    assert fleet.known_clusters() == {"one"}
    assert fleet.member_objects() == {}
    assert world.one.requests == []
    fleet.attach(frozenset({"one", "unknown"}))
    await until(lambda: fleet.member_objects() and fleet.member_objects()["one"].synced)
    member = fleet.member_objects()["one"]
    assert (set(member.services), set(member.slices)) == ({"demo/web"}, {"demo/web-1"})
    assert not member.stale
    (health,) = fleet.health()
    assert health.objects == {"services": 1, "endpointslices": 1}
    assert health.synced
    assert health.server == world.one.url
    assert set(fleet.member_objects()) == {"one"}


async def test_a_member_may_be_registered_by_a_secret_after_it_was_attached(
    world: World, start: Start
) -> None:
    fleet = await start()
    fleet.attach(frozenset({"one"}))
    world.register("one", world.one)
    await until(lambda: "one" in fleet.member_objects() and fleet.member_objects()["one"].synced)
    assert fleet.known_clusters() == {"one"}


async def test_a_detached_member_is_gone_with_its_connections_and_may_come_back(
    world: World, start: Start
) -> None:
    fleet = await start(one=world.file("one", world.kubeconfig(world.one)))
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health()[0].synced)
    fleet.attach(frozenset())
    await until(lambda: not fleet.member_objects())
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("one ")])
    assert not fleet.health()[0].attached
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health()[0].synced)


async def test_a_silent_member_is_stale_after_ten_seconds_and_keeps_its_objects(
    world: World, start: Start
) -> None:
    world.one.store.put("services", service("web"))
    fleet = await start(one=world.file("one", world.kubeconfig(world.one)))
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health()[0].synced)
    await world.one.stop()
    await world.clock.advance(9)
    assert not fleet.member_objects()["one"].stale
    changes = world.changes
    await until_advanced(world, lambda: fleet.member_objects()["one"].stale, at_most_s=6)
    assert world.changes == changes + 1
    assert set(fleet.member_objects()["one"].services) == {"demo/web"}
    assert "cannot reach API server" in fleet.health()[0].last_error
    await world.one.start()
    await until_advanced(world, lambda: not fleet.member_objects()["one"].stale)
    assert fleet.health()[0].last_error == ""


async def until_advanced(world: World, condition: Callable[[], bool], at_most_s: int = 200) -> None:
    """Let fake time pass until the condition holds."""
    for _ in range(at_most_s):
        if condition():
            return
        await world.clock.advance(1)
        await asyncio.sleep(0.005)
    if condition():
        return
    raise AssertionError(f"not within {at_most_s} s of fake time")


async def test_a_quiet_member_that_answers_is_not_stale(world: World, start: Start) -> None:
    fleet = await start(one=world.file("one", world.kubeconfig(world.one)))
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health()[0].synced)
    for _ in range(30):
        await world.clock.advance(1)
        await asyncio.sleep(0.003)
    assert not fleet.member_objects()["one"].stale
    assert (
        5 <= len(world.one.seen("get version")) <= 13
    )  # one in three seconds, and each reflector asks for the version


async def test_a_member_that_hangs_does_not_delay_another(world: World, start: Start) -> None:
    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(3600)

    world.one.always["list services"] = world.one.always["get version"] = hang
    fleet = await start(
        one=world.file("one", world.kubeconfig(world.one)), two=world.file("two", world.kubeconfig(world.two))
    )
    fleet.attach(frozenset({"one", "two"}))
    await until(lambda: fleet.health()[1].synced)
    world.two.store.put("services", service("web"))
    await until(lambda: fleet.member_objects()["two"].services)
    assert not fleet.member_objects()["one"].synced


async def test_changed_credentials_are_used_without_losing_objects(world: World, start: Start) -> None:
    world.one.tokens = {"old"}
    world.one.store.put("services", service("web"))
    world.register("one", world.one, "old")
    fleet = await start()
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health() and fleet.health()[0].synced)
    counts: set[int] = set()

    def moved() -> bool:
        counts.add(len(fleet.member_objects()["one"].services))
        return world.one.requests[-1].headers.get("authorization") == "Bearer new"

    world.one.tokens = {"new"}
    world.register("one", world.one, "new")
    await until(moved)
    world.one.store.put("services", service("second"))
    await until(lambda: len(fleet.member_objects()["one"].services) == 2)
    assert counts == {1}


async def test_bad_new_credentials_are_reported_and_the_old_ones_stay_in_use(
    world: World, start: Start
) -> None:
    world.register("one", world.one)
    fleet = await start()
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health() and fleet.health()[0].synced)
    broken = world.api.kubeconfig("s3cret") | {"current-context": "nowhere"}
    world.api.store.put("secrets", secret("one", "one", str(broken)))
    await until(lambda: "nowhere" in fleet.health()[0].last_error)
    assert "s3cret" not in fleet.health()[0].last_error
    assert fleet.health()[0].last_error.startswith("Secret clusters/one: ")
    world.one.store.put("services", service("web"))
    await until(lambda: fleet.member_objects()["one"].services)


async def test_a_missing_kubeconfig_file_is_a_problem_of_that_member_only(world: World, start: Start) -> None:
    fleet = await start(
        one=world.file("x", "").with_name("none"), two=world.file("two", world.kubeconfig(world.two))
    )
    fleet.attach(frozenset({"one", "two"}))
    await until(lambda: len(fleet.health()) == 2 and fleet.health()[1].synced)
    assert "no such file" in fleet.health()[0].last_error


async def test_the_secrets_of_one_namespace_are_asked_for_and_no_others(world: World, start: Start) -> None:
    await start()
    asked = {request.path for request in world.api.seen("list secrets") + world.api.seen("watch secrets")}
    assert asked == {"/api/v1/namespaces/clusters/secrets"}


async def test_another_secret_does_not_take_a_cluster_over_not_even_after_a_restart(
    world: World, start: Start
) -> None:
    world.register("one", world.one)
    fleet = await start()
    fleet.attach(frozenset({"one"}))
    await until(lambda: fleet.health() and fleet.health()[0].synced)
    thief = secret("thief", "one", world.kubeconfig(world.two), "2026-02-02T00:00:00Z")
    world.api.store.put("secrets", thief)
    world.api.store.delete("secrets", "clusters/one")
    await until(lambda: not fleet.member_objects())
    assert [item.code for item in fleet.findings()] == ["FG0903"]
    later = await start()
    later.attach(frozenset({"one"}))
    await until(lambda: later.findings())
    assert (later.known_clusters(), world.two.requests) == (frozenset(), [])
    world.register("one", world.one)
    await until(lambda: later.health() and later.health()[0].synced)
    assert later.health()[0].server == world.one.url


async def test_without_the_right_to_list_secrets_the_flags_still_serve(world: World, start: Start) -> None:
    async def forbidden(exchange: Exchange) -> None:
        await exchange.fail(403, "Forbidden", 'secrets is forbidden: User "u" cannot list')

    world.api.always["list secrets"] = forbidden
    fleet = await start(one=world.file("one", world.kubeconfig(world.one)))
    assert fleet.known_clusters() == {"one"}
    assert "cannot list" in fleet.fleet_health().last_error


async def test_a_fleet_without_the_albconfig_kind_is_an_empty_one(world: World, start: Start) -> None:
    async def unknown(exchange: Exchange) -> None:
        await exchange.answer(404, b"404 page not found\n")

    world.api.always["list albconfigs"] = unknown
    fleet = await start()
    assert fleet.fleet_objects().albconfigs == {}
    del world.api.always["list albconfigs"]
    world.api.store.put("albconfigs", {"metadata": {"name": "gateway"}, "spec": {}})
    await until_advanced(world, lambda: "gateway" in fleet.fleet_objects().albconfigs)


async def test_a_fleet_without_the_mse_kind_is_whole_and_gets_it_later(
    world: World, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async def unknown(exchange: Exchange) -> None:
        await exchange.answer(404, b"404 page not found\n")

    world.api.always["list mseingressconfigs"] = unknown
    with caplog.at_level("INFO", "controlplane.kube.reflector"):
        fleet = await start()
        await until_advanced(world, lambda: len(world.api.seen("list mseingressconfigs")) > 3)
    assert [record.getMessage() for record in caplog.records] == ["kind not served yet"]
    assert fleet.fleet_health().last_error == ""
    del world.api.always["list mseingressconfigs"]
    world.api.store.put("mseingressconfigs", {"metadata": {"name": "gateway"}, "spec": {}})
    await until_advanced(world, lambda: "gateway" in fleet.fleet_objects().mse_configs)
    assert fleet.current_status(MSE_INGRESS_CONFIGS, "", "gateway") is not None


async def test_without_the_right_to_list_mse_gateways_the_others_serve(world: World, start: Start) -> None:
    async def forbidden(exchange: Exchange) -> None:
        await exchange.fail(403, "Forbidden", 'mseingressconfigs is forbidden: User "u" cannot list')

    world.api.always["list mseingressconfigs"] = forbidden
    world.api.store.put("albconfigs", {"metadata": {"name": "gateway"}, "spec": {}})
    fleet = await start()
    assert "gateway" in fleet.fleet_objects().albconfigs
    assert "cannot list" in fleet.fleet_health().last_error


async def test_the_status_of_a_fleet_object_is_known_as_last_seen(world: World, start: Start) -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    world.api.store.put("ingresses", ingress("web", generation=4, status=status))
    fleet = await start()
    known = fleet.current_status(INGRESSES, "demo", "web")
    assert known is not None
    assert known.status == b'{"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}'
    assert known.generation == 4
    assert fleet.current_status(INGRESSES, "demo", "none") is None


async def test_our_own_annotation_is_seen_and_is_no_change(world: World, start: Start) -> None:
    fleet = await start()
    world.api.store.put("ingresses", ingress("web"))
    await until(lambda: "demo/web" in fleet.fleet_objects().ingresses)
    before, objects = world.changes, fleet.fleet_objects().ingresses
    item = ingress("web")
    for text in ("{1}", "{2}"):
        item["metadata"]["annotations"] = {SHARES_KEY: text}
        world.api.store.put("ingresses", item)
        await until(lambda: fleet.shares_written() == {("demo", "web"): text})  # noqa: B023
    del item["metadata"]["annotations"]
    world.api.store.put("ingresses", item)
    await until(lambda: fleet.shares_written() == {})
    assert (world.changes, fleet.fleet_objects().ingresses) == (before, objects)
    item["metadata"]["annotations"] = {SHARES_KEY: "{3}", "other": "1"}
    world.api.store.put("ingresses", item)
    await until(lambda: world.changes > before)
    assert fleet.fleet_objects().ingresses["demo/web"].metadata.annotations == {"other": "1"}
    world.api.store.delete("ingresses", "demo/web")
    await until(lambda: fleet.shares_written() == {})
