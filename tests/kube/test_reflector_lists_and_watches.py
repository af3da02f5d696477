"""The rules of a good informer, 1 to 7, one test or more each."""

import asyncio
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fakeapi import Exchange, FakeApi
from tests.support.objects import endpoint_slice
from tests.support.reflecting import LIST, WATCH, Spawn, Watched, failing, line, listed, saying
from tests.support.waiting import until


async def test_rule_1_first_list_may_come_from_the_cache_and_replaces_all_at_once(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    api.store.put("endpointslices", endpoint_slice("b", "10.0.0.2"))
    spawn(watched.reflector.run())
    await watched.streaming()
    assert api.seen(LIST)[0].query == {"resourceVersion": "0", "limit": "500"}
    assert watched.keys == {"demo/a", "demo/b"}
    assert watched.reflector.health.synced
    assert watched.changes == 1


async def test_rule_1_synced_is_told_even_when_there_is_nothing(watched: Watched, spawn: Spawn) -> None:
    spawn(watched.reflector.run())
    await watched.streaming()
    assert watched.reflector.health.synced
    assert watched.changes == 1


async def test_rule_2_a_watch_that_times_out_is_reopened_from_the_last_version_without_a_list(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    spawn(watched.reflector.run())
    await watched.streaming()
    query = api.seen(WATCH)[0].query
    assert query["allowWatchBookmarks"] == "true"
    assert 300 <= int(query["timeoutSeconds"]) < 600
    item = api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    await until(lambda: watched.keys)
    clock.now_s += 300
    api.store.end_watches("endpointslices")
    await until(lambda: len(api.seen(WATCH)) == 2)
    assert api.seen(WATCH)[1].query["resourceVersion"] == item["metadata"]["resourceVersion"]
    assert len(api.seen(LIST)) == 1
    assert clock.sleeps == []
    assert watched.reflector.health.watch_restarts == 1


async def test_rule_3_bookmarks_advance_the_version_and_change_nothing(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    spawn(watched.reflector.run())
    await watched.streaming()
    api.store.bookmark("endpointslices")
    clock.now_s += 300
    await asyncio.sleep(0.02)
    api.store.end_watches("endpointslices")
    await until(lambda: len(api.seen(WATCH)) == 2)
    assert api.seen(WATCH)[1].query["resourceVersion"] == str(api.store.version)
    assert watched.changes == 1


async def test_rule_3_versions_of_synthetic_events_are_not_remembered(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    async def list_without_version(exchange: Exchange) -> None:
        await exchange.answer(200, {"metadata": {}, "items": []})

    first, second = endpoint_slice("a"), endpoint_slice("b")
    first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"] = "90", "40"
    api.script[LIST].append(list_without_version)
    api.script[WATCH].append(saying(line("ADDED", first), line("ADDED", second)))
    spawn(watched.reflector.run())
    await until(lambda: len(api.seen(WATCH)) == 2)
    assert watched.keys == {"demo/a", "demo/b"}
    assert api.seen(WATCH)[1].query["resourceVersion"] == ""


@pytest.mark.parametrize("how", ["event", "http"])
async def test_rule_4_gone_on_a_watch_means_a_new_list_not_older_than_what_we_have(
    api: FakeApi, watched: Watched, spawn: Spawn, how: str
) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    step = failing(410, "Expired") if how == "http" else saying(line("ERROR", gone))
    api.script[WATCH].append(step)
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    relist = api.seen(LIST)[1].query
    assert relist == {"resourceVersion": "101", "resourceVersionMatch": "NotOlderThan"}
    assert watched.reflector.health.relists == 1
    assert watched.changes == 1


@pytest.mark.parametrize(
    ("status", "message"), [(410, "too old"), (504, "Too large resource version: 9, current: 5")]
)
async def test_rule_4_a_list_that_cannot_have_our_version_is_repeated_for_the_newest(
    api: FakeApi, watched: Watched, spawn: Spawn, status: int, message: str
) -> None:
    api.script[WATCH].append(failing(410, "Expired"))
    api.script[LIST].extend([listed(api), failing(status, "", message)])
    spawn(watched.reflector.run())
    await watched.streaming()
    assert [request.query.get("resourceVersion") for request in api.seen(LIST)] == ["0", "100", None]


async def test_rule_4_too_many_requests_waits_as_told_and_keeps_the_version(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    api.script[WATCH].append(failing(429, "TooManyRequests", "later", Retry_After="7"))
    spawn(watched.reflector.run())
    await watched.streaming()
    assert clock.sleeps == [7.0]
    assert len(api.seen(LIST)) == 1


async def test_rule_4_server_errors_are_retried_a_few_times_before_a_list(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    api.script[WATCH].extend([failing(500, "InternalError")] * 3)
    spawn(watched.reflector.run())
    await watched.streaming()
    assert [request.verb for request in api.requests if "endpointslices" in request.path] == [
        "list", "watch", "watch", "watch", "list", "watch"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "step",
    [
        saying(),
        failing(500, "InternalError", "boom"),
        failing(429, "TooManyRequests", "later"),
        saying(b'{"type":"ADDED","object":{"metadata":{"na', cut=True),
        saying(b'{"type":"ADDED","object":{"metadata":{"na'),
        saying(b"this is no event\n"),
    ],
    ids=["empty", "500", "429", "reset", "truncated", "garbage"],
)
async def test_rule_5_a_server_that_always_fails_sees_at_most_ten_requests_a_minute(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn, step: Any
) -> None:
    started = clock.now_s
    api.always[WATCH] = step
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await until(lambda: clock.now_s >= started + 60)
    seen = [request for request in api.requests if request.at <= started + 60 and request.path != "/version"]
    assert len(seen) <= 10
    assert watched.keys == {"demo/a"}
    assert watched.changes == 1


async def test_rule_6_a_server_that_streams_lists_is_asked_for_one(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    api.minor = "32+"
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await until(lambda: watched.keys == {"demo/a"})
    api.store.put("endpointslices", endpoint_slice("b", "10.0.0.2"))
    await until(lambda: watched.keys == {"demo/a", "demo/b"})
    assert api.seen(LIST) == []
    assert len(api.seen(WATCH)) == 1
    assert api.seen(WATCH)[0].query["sendInitialEvents"] == "true"
    assert watched.reflector.health.synced
    assert watched.changes == 2


@pytest.mark.parametrize("status", [400, 422])
async def test_rule_6_a_server_that_refuses_to_stream_lists_is_asked_for_a_plain_one(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn, status: int
) -> None:
    api.minor = "32"
    api.script[WATCH].append(failing(status, "Invalid", "sendInitialEvents is forbidden"))
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await until(lambda: watched.reflector.health.streaming and watched.keys)
    assert len(api.seen(LIST)) == 1
    assert clock.sleeps == []


async def test_rule_7_a_long_list_is_read_in_pages_of_500(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    for number in range(1101):
        api.store.put("endpointslices", endpoint_slice(f"s{number}", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    assert len(api.seen(LIST)) == 3
    assert len(watched.keys) == 1101
    assert watched.changes == 1


async def test_rule_7_pages_that_expire_are_replaced_by_one_full_list(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    for number in range(600):
        api.store.put("endpointslices", endpoint_slice(f"s{number}", "10.0.0.1"))
    api.script[LIST].extend([listed(api), failing(410, "Expired", "continue token is too old")])
    spawn(watched.reflector.run())
    await watched.streaming()
    assert api.seen(LIST)[2].query == {}
    assert len(watched.keys) == 600


async def test_rule_7_pages_of_different_versions_are_never_mixed(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    async def other_version(exchange: Exchange) -> None:
        await exchange.answer(200, {"metadata": {"resourceVersion": "7"}, "items": []})

    for number in range(600):
        api.store.put("endpointslices", endpoint_slice(f"s{number}", "10.0.0.1"))
    api.script[LIST].extend([listed(api), other_version])
    spawn(watched.reflector.run())
    await watched.streaming()
    assert len(api.seen(LIST)) == 4
    assert len(watched.keys) == 600
