"""The rules of a good informer, 8 to 15, one test or more each."""

import asyncio
import time

from controlplane.kube.client import ApiClient, open_client
from controlplane.kube.reflector import Reflector
from controlplane.resources.kinds import ENDPOINT_SLICES
from tests.support.clock import FakeClock
from tests.support.fakeapi import Exchange, FakeApi
from tests.support.fakestore import FakeStore
from tests.support.objects import endpoint_slice
from tests.support.reflecting import LIST, WATCH, Spawn, Watched, failing, hang, line, listed, saying
from tests.support.waiting import until


async def test_rule_8_an_unreachable_server_leaves_the_last_good_objects(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    await api.stop()
    started = clock.now_s
    await until(lambda: clock.now_s > started + 120)
    health = watched.reflector.health
    assert watched.keys == {"demo/a"}
    assert not health.reachable
    assert "cannot reach API server" in health.last_error
    assert health.synced
    await api.start()
    api.store.put("endpointslices", endpoint_slice("b", "10.0.0.2"))
    await until(lambda: watched.keys == {"demo/a", "demo/b"})
    assert watched.reflector.health.last_error == ""


async def test_rule_8_forbidden_is_not_empty(api: FakeApi, watched: Watched, spawn: Spawn) -> None:
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    forbidden = failing(403, "Forbidden", 'endpointslices is forbidden: User "u" cannot list')
    api.always[LIST] = api.always[WATCH] = forbidden
    api.store.end_watches("endpointslices")
    await until(lambda: "403" in watched.reflector.health.last_error)
    assert "cannot list; grant it with a ClusterRole" in watched.reflector.health.last_error
    assert watched.keys == {"demo/a"}


async def test_rule_8_an_empty_list_is_believed_only_when_the_newest_state_is_empty_too(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    async def nothing(exchange: Exchange) -> None:
        await exchange.answer(200, {"metadata": {"resourceVersion": "100"}, "items": []})

    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    api.script[LIST].extend([listed(api), nothing])
    api.script[WATCH].append(failing(410, "Expired"))
    spawn(watched.reflector.run())
    await watched.streaming()
    assert "resourceVersion" not in api.seen(LIST)[2].query
    assert watched.keys == {"demo/a"}
    assert watched.changes == 1


async def test_other_credentials_begin_without_the_back_off_of_the_old_ones(
    api: FakeApi, client: ApiClient, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    api.always[LIST] = failing(401, "Unauthorized")
    task = spawn(watched.reflector.run())
    await until(lambda: len(clock.sleeps) >= 8)
    task.cancel()
    await asyncio.wait([task])
    assert clock.sleeps[-1] > 10
    other = await open_client(api.kubeconfig(), clock=clock.clock)
    watched.reflector.use(other)
    seen = len(clock.sleeps)
    task = spawn(watched.reflector.run())
    await until(lambda: len(clock.sleeps) > seen)
    assert clock.sleeps[seen] < 2
    task.cancel()
    await asyncio.wait([task])
    await other.close()


async def test_a_watch_that_lasted_is_not_made_to_wait_for_failures_before_it(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    async def last_and_be_cut(exchange: Exchange) -> None:
        await exchange.begin()
        await watched.streaming()
        clock.now_s += 40
        exchange.cut()

    api.script[WATCH].extend([saying(cut=True)] * 5 + [last_and_be_cut, saying(cut=True)])
    spawn(watched.reflector.run())
    await until(lambda: len(api.seen(WATCH)) == 8)
    assert clock.sleeps[:7] == [0.8, 1.6, 3.2, 6.4, 12.8, 0.8, 1.6]


async def test_rule_9_a_silent_watch_is_replaced(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    watched = Watched(client, clock, silence_s=0.05)
    api.script[WATCH].append(hang)
    spawn(watched.reflector.run())
    await until(lambda: len(api.seen(WATCH)) == 2)
    assert len(api.seen(LIST)) == 1


async def test_rule_9_silence_of_a_server_that_answers_is_no_failure(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    # kube-apiserver sends no bookmarks for a kind of which it has seen no event since it started.
    watched = Watched(client, clock, silence_s=0.05)

    async def hang_and_answer_probes(exchange: Exchange) -> None:
        clock.now_s += 70
        client.heard()
        await hang(exchange)

    async def not_even_begin(exchange: Exchange) -> None:
        await asyncio.sleep(3600)

    api.script[WATCH].extend([hang_and_answer_probes] * 4 + [not_even_begin])
    spawn(watched.reflector.run())
    await until(lambda: len(api.seen(WATCH)) == 5)
    assert clock.sleeps == []
    assert watched.reflector.live_at() == clock.now_s
    assert watched.reflector.health.last_error == ""
    assert len(api.seen(LIST)) == 1


async def test_rule_9_an_event_that_trickles_in_for_ever_is_silence_too(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    async def trickle(exchange: Exchange) -> None:
        await exchange.begin()
        while True:
            await exchange.raw(b" ")
            clock.now_s += 5
            await asyncio.sleep(0.001)

    api.script[WATCH].append(trickle)
    spawn(watched.reflector.run())
    await until(lambda: len(api.seen(WATCH)) == 2)


async def test_rule_10_a_batch_is_one_change_and_what_changes_no_content_is_none(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    spawn(watched.reflector.run())
    await watched.streaming()
    for number in range(20):
        api.store.put("endpointslices", endpoint_slice(f"s{number}", "10.0.0.1"))
    await until(lambda: len(watched.keys) == 20)
    assert watched.changes <= 1 + 20
    before, objects = watched.changes, watched.reflector.objects
    touched = endpoint_slice("s1", "10.0.0.1")
    touched["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    api.store.put("endpointslices", touched)
    api.store.put("endpointslices", endpoint_slice("last", "10.0.0.1"))
    await until(lambda: "demo/last" in watched.keys)
    assert watched.changes == before + 1
    assert watched.reflector.objects["demo/s1"] is objects["demo/s1"]


async def test_rule_10_events_of_one_chunk_are_one_change(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    items = [endpoint_slice(f"s{number}", "10.0.0.1") for number in range(50)]
    for number, item in enumerate(items):
        item["metadata"]["resourceVersion"] = str(200 + number)
    api.script[WATCH].append(saying(b"".join(line("ADDED", item) for item in items)))
    spawn(watched.reflector.run())
    await until(lambda: len(watched.keys) == 50)
    assert watched.changes == 2


async def test_rule_10_a_missed_delete_is_repaired_by_a_list_now_and_then(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    del api.store.objects["endpointslices"]["demo/a"]
    clock.now_s += 1800
    api.store.end_watches("endpointslices")
    await until(lambda: not watched.keys)


async def test_rule_11_versions_that_go_backwards_mean_a_full_replacement(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    restored = endpoint_slice("b", "10.0.0.9")
    restored["metadata"]["resourceVersion"] = "12"
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    api.script[WATCH].append(saying(line("ADDED", restored)))
    spawn(watched.reflector.run())
    await until(lambda: len(api.seen(LIST)) == 2)
    await watched.streaming()
    assert "resourceVersion" not in api.seen(LIST)[1].query
    assert watched.keys == {"demo/a"}


async def test_rule_11_a_server_that_lost_its_data_while_it_was_away_is_noticed(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    for number in range(5):
        api.store.put("endpointslices", endpoint_slice(f"s{number}", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    await api.stop()
    await until(lambda: not watched.reflector.health.reachable)
    api.store = FakeStore()
    api.store.put("endpointslices", endpoint_slice("survivor", "10.0.0.2"))
    await api.start()
    await until(lambda: watched.keys == {"demo/survivor"})


async def test_rule_11_a_server_that_kept_its_data_is_not_asked_for_a_list(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    # The clock jumps with every attempt to connect: however many there are, no list is due by time
    watched = Watched(client, clock, resync_s=(1e9, 1e9))
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    await api.stop()
    await until(lambda: not watched.reflector.health.reachable)
    api.store.put("endpointslices", endpoint_slice("b", "10.0.0.2"))
    await api.start()
    await until(lambda: watched.keys == {"demo/a", "demo/b"})
    assert [request.query.get("limit") for request in api.seen(LIST)] == ["500", "1"]
    assert watched.reflector.health.relists == 0


async def test_rule_11_a_name_created_again_is_another_object(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    old = api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    api.store.delete("endpointslices", "demo/a")
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    await until(lambda: watched.changes > 1 and watched.keys)
    assert watched.reflector.objects["demo/a"].metadata.uid != old["metadata"]["uid"]


async def test_rule_12_selector_and_namespace_trim_what_is_read(
    api: FakeApi, client: ApiClient, clock: FakeClock, spawn: Spawn
) -> None:
    reflector = Reflector(
        client, ENDPOINT_SLICES, lambda: None, label_selector="kind", namespace="demo", clock=clock.clock
    )
    labelled = endpoint_slice("a")
    labelled["metadata"]["labels"]["kind"] = "x"
    api.store.put("endpointslices", labelled)
    api.store.put("endpointslices", endpoint_slice("b"))
    spawn(reflector.run())
    await until(lambda: reflector.health.streaming)
    assert set(reflector.objects) == {"demo/a"}
    for request in (api.seen(LIST)[0], api.seen(WATCH)[0]):
        assert request.query["labelSelector"] == "kind"
        assert request.path == "/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices"


async def test_rule_13_a_401_on_reconnect_leads_to_new_credentials_and_not_to_an_end(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    api.tokens = {"something else"}
    clock.now_s += 300
    api.store.end_watches("endpointslices")
    await until(lambda: "401" in watched.reflector.health.last_error)
    assert watched.keys == {"demo/a"}
    api.tokens = None
    await watched.streaming()


async def test_rule_14_a_malformed_object_harms_no_other(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    bad = endpoint_slice("bad") | {"endpoints": "none"}
    api.store.put("endpointslices", bad)
    api.store.put("endpointslices", endpoint_slice("good", "10.0.0.1"))
    spawn(watched.reflector.run())
    await watched.streaming()
    assert watched.keys == {"demo/good"}
    assert "endpoints" in watched.reflector.malformed["demo/bad"].error
    api.store.put("endpointslices", endpoint_slice("good") | {"ports": 7})
    await until(lambda: len(watched.reflector.malformed) == 2)
    assert watched.keys == {"demo/good"}, "the last good state stays"
    api.store.put("endpointslices", endpoint_slice("bad", "10.0.0.2"))
    await until(lambda: watched.keys == {"demo/good", "demo/bad"})
    assert set(watched.reflector.malformed) == {"demo/good"}


async def test_rule_14_a_line_beyond_the_limit_leads_to_a_list_where_only_its_object_is_left_out(
    api: FakeApi, watched: Watched, spawn: Spawn
) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.begin()
        huge = endpoint_slice("huge")
        huge["metadata"] |= {"annotations": {"x": "y" * (3 << 20)}, "uid": "u1"}
        api.store.put("endpointslices", huge)
        api.store.put("endpointslices", endpoint_slice("small", "10.0.0.1"))
        for _ in range(130):
            await exchange.raw(b"x" * (64 << 10))
        await asyncio.sleep(3600)

    api.script[WATCH].append(endless)
    spawn(watched.reflector.run())
    await until(lambda: watched.keys == {"demo/small"})
    assert "3145" in watched.reflector.malformed["demo/huge"].error


async def test_rule_15_health_counts_and_dates(
    api: FakeApi, watched: Watched, clock: FakeClock, spawn: Spawn
) -> None:
    health = watched.reflector.health
    assert (health.synced, health.reachable, health.relists, health.watch_restarts) == (False, False, 0, 0)
    spawn(watched.reflector.run())
    await watched.streaming()
    clock.now_s = 5000.0
    api.store.put("endpointslices", endpoint_slice("a", "10.0.0.1"))
    await until(lambda: watched.keys)
    assert health.last_event_at == 5000.0
    assert watched.reflector.live_at() == 5000.0


async def test_an_event_reaches_the_callback_within_two_milliseconds(
    api: FakeApi, client: ApiClient, spawn: Spawn
) -> None:
    at: list[float] = []
    reflector = Reflector(client, ENDPOINT_SLICES, lambda: at.append(time.perf_counter()))
    spawn(reflector.run())
    await until(lambda: reflector.health.streaming)
    delays = []
    for number in range(50):
        before = len(at)
        started = time.perf_counter()
        api.store.put("endpointslices", endpoint_slice("a", f"10.0.0.{number}"))
        while len(at) == before:
            await asyncio.sleep(0)
        delays.append(at[-1] - started)
    assert sorted(delays)[12] < 0.002, "the quicker ones: others share this machine"
