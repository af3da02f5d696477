"""The drill `mixed`: its schedule, its endpoints, its proxies, and, as small as it can be, a whole case."""

import http.client
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.translate.builder import translate
from controlplane.translate.model import Facts, HostAddresses, LastGood
from loadtest.drills import report as drill_report
from loadtest.drills.mixed import manifests, peers, program, report
from loadtest.drills.mixed.cases import CASES, EXACTLY_ONCE, Case, Slow, Split, every, select
from loadtest.drills.mixed.origin import Model
from loadtest.drills.mixed.pods import Executed, Pods
from loadtest.drills.mixed.run import Cell, before_fleetgate
from loadtest.drills.mixed.schedule import planned
from loadtest.drills.site import CLUSTERS
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.processes import Started
from loadtest.kit.programs import Missing
from loadtest.ports import free_port
from proxy.model.actions import Algorithm, Forward
from tests.loadtest.test_mixed_account import counted
from tests.support.drilled import cell as drilled
from tests.support.drilled import circumstances
from tests.support.translation import fleet_of, member_of

ENDPOINTS = {"cluster-1": [("10.0.0.1", 8080)], "cluster-2": [("10.0.0.2", 8080)]}


def case(name: str) -> Case:
    return next(each for each in CASES if each.name == name)


def test_every_case_has_a_name_of_its_own_and_ends_by_itself() -> None:
    assert max(Counter(each.name for each in CASES).values()) == 1
    assert all(each.longest_s <= 70 for each in CASES)
    assert all(each.slow for each in CASES)


def test_quick_cases_have_no_request_of_more_than_six_seconds() -> None:
    quick = select(["*"], quick=True)
    assert len(quick) >= 5
    assert max(slow.takes_s for each in quick for slow in each.slow) <= 6


def test_the_cases_cover_what_the_bounds_are_said_of() -> None:
    assert {each.pods for each in CASES} == {1, 2, 4}
    assert {each.model for each in CASES} == set(Model)
    assert {each.split for each in CASES} == set(Split)
    assert {each.workers for each in CASES} == {1, 2}
    assert {slow.method for each in CASES for slow in each.slow} == {"GET", "POST", "PUT", "DELETE"}
    times = [slow.takes_s for each in CASES for slow in each.slow]
    assert (min(times), max(times)) == (0.2, 60)
    assert {key for each in CASES for key, _ in each.annotations} == {
        "fleetgate.io/failback",
        "fleetgate.io/retry-scope",
    }


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
def test_the_requests_of_a_case_are_due_in_order_and_differ_in_their_ids(each: Case) -> None:
    requests = planned(each)
    assert [one.at for one in requests] == sorted(one.at for one in requests)
    assert len({one.identity for one in requests}) == len(requests)
    assert all(f"id={one.identity}" in one.path.replace("id-", "id=") for one in requests)
    slow = [one for one in requests if one.is_slow]
    assert len(slow) == sum(len(one.at) * one.together for one in each.slow)
    assert all(f"s={one.takes_s:g}" in one.path for one in slow)


def test_posts_fall_on_clusters_and_endpoints_that_take_turns_alike() -> None:
    fast = [one for one in planned(case("pool-room-halves")) if not one.is_slow][:160]
    posts = [number for number, one in enumerate(fast) if one.method == "POST"]
    assert len(posts) == 40
    assert set(Counter(number % 4 for number in posts).values()) == {10}


def test_times_are_repeated_until_the_last_one() -> None:
    assert every(1, 2, 7) == (1, 3, 5, 7)
    assert every(1, 0.4, 2) == (1, 1.4, 1.8)


def test_patterns_of_cases_are_told_from_those_of_drills() -> None:
    assert program.divided(["hang", "mixed/get-*"]) == (["hang"], ["get-*"])
    assert program.divided(["mixed"]) == ([], ["*"])
    assert program.divided(["*"]) == (["*"], ["*"])
    with pytest.raises(ValueError, match=r"no case of mixed matches 'fire'; there are get-6s, "):
        program.chosen(["fire"], quick=False)


def test_peers_run_a_few_cases_beside_ours() -> None:
    ours = Fleetgate("fleetgate", sys.executable)
    other = peers.Peer("nginx", "1", lambda *_: [])
    runs = program.runs([case("get-6s"), case("single")], [ours], [other])
    assert runs == [(case("get-6s"), ours), (case("get-6s"), other), (case("single"), ours)]
    assert program.takes_s(runs, 2) == 2 * (14 + 14 + 18 + 3 * program.AROUND_S)


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
def test_the_gateway_understands_every_object_of_a_case(each: Case) -> None:
    members = {cluster: member_of(cluster, manifests.member(ENDPOINTS[cluster])[1:]) for cluster in CLUSTERS}
    hosts = {manifests.NAME: HostAddresses(("10.0.0.1",))}
    facts = Facts(known_clusters=frozenset(CLUSTERS), address="gateway.example.com", hosts=hosts)
    result = translate(
        fleet_of(manifests.fleet(each, 8001, ENDPOINTS)[1:]), members, facts, LastGood(), 1, None
    )
    assert [one.message for one in result.diagnostics if one.level != "info"] == []
    (route,) = result.snapshot.routes
    assert isinstance(route.action, Forward)
    assert len(route.conditions) == (each.split is Split.PINNED)
    balance = route.action.balance
    assert (balance is not None and balance.algorithm is Algorithm.HASH) == (each.split is Split.HASHED)
    weights = {share.cluster: share.weight for share in route.action.split.shares}
    if not each.is_named and each.split in (Split.PREFERRED, Split.HALVES, Split.PINNED):
        assert tuple(weights.values()) == manifests.WEIGHTS[each.split]


def ask(port: int, identity: str, takes_s: float) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/svc1/items?id={identity}&s={takes_s}")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def executed(model: Model, requests: int, directory: Path) -> list[Executed]:
    """Return the executions of so many requests of 0.3 s that come at once."""
    with Pods(model, directory, min(os.sched_getaffinity(0))) as pods:
        (_, port) = pods.add("cluster-1", 1)[0]
        threads = [threading.Thread(target=ask, args=(port, f"a{n}", 0.3)) for n in range(requests)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return pods.drained()


def at_a_time(found: list[Executed]) -> int:
    """Return the largest number of executions that overlap."""
    return max(sum(one.began <= each.began < one.ended for one in found) for each in found)


@pytest.mark.parametrize(
    ("model", "expected"), [(Model.SINGLE, 1), (Model.SYNC, 1), (Model.POOL, 4), (Model.THREADED, 6)]
)
def test_an_endpoint_executes_as_many_requests_at_a_time_as_its_model_says(
    model: Model, expected: int, tmp_path: Path
) -> None:
    found = executed(model, 6, tmp_path)
    assert sorted(each.identity for each in found) == [f"a{number}" for number in range(6)]
    assert at_a_time(found) == expected


def test_a_pause_of_an_endpoint_is_told_from_its_work(tmp_path: Path) -> None:
    with Pods(Model.SINGLE, tmp_path, min(os.sched_getaffinity(0))) as pods:
        (_, port) = pods.add("cluster-1", 1)[0]
        (pid,) = pods.pids()
        ask(port, "d1", 0.3)
        worked = pods.longest_pause_s()
        os.kill(pid, signal.SIGSTOP)
        time.sleep(worked + 0.5)
        os.kill(pid, signal.SIGCONT)
        ask(port, "d2", 0.05)
        pods.drained()
        assert pods.longest_pause_s() > worked + 0.4


def test_an_endpoint_answers_its_probe_without_counting_it(tmp_path: Path) -> None:
    with Pods(Model.POOL, tmp_path, min(os.sched_getaffinity(0))) as pods:
        (_, port) = pods.add("cluster-1", 1)[0]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("OPTIONS", "*")
        assert connection.getresponse().status == 200
        connection.close()
        assert ask(port, "b1", 0.01) == f"b1 {port}-1"
        assert [each.identity for each in pods.drained()] == ["b1"]


@pytest.mark.parametrize("name", peers.FIND)
@pytest.mark.parametrize("split", [Split.PREFERRED, Split.HALVES])
def test_a_peer_serves_with_either_timeouts(name: str, split: Split, tmp_path: Path) -> None:
    """A standby is asked nothing; without one both clusters are."""
    try:
        both = peers.FIND[name]()
    except Missing as reason:
        pytest.skip(str(reason))
    core = min(os.sched_getaffinity(0))
    served = {Split.PREFERRED: {"cluster-1"}, Split.HALVES: set(CLUSTERS)}
    for peer in both:
        place = tmp_path / peer.name
        place.mkdir()
        port = free_port()
        with Pods(Model.THREADED, place, core) as pods:
            for cluster in CLUSTERS:
                pods.add(cluster, 1)
            chosen = replace(case("get-6s"), split=split)
            process: Started = peer.start(chosen, pods.clusters, port, place, core)
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                for number in range(16):
                    connection.request(
                        "GET", f"/svc1/items?id=c{number}", headers={"Host": "alb.ingress.alibaba.com"}
                    )
                    assert connection.getresponse().read().startswith(f"c{number} ".encode())
                connection.close()
            finally:
                process.stop()
            assert {pods.cluster_of[each.port] for each in pods.drained()} == served[split]


def test_a_small_case_runs_before_the_whole_gateway(tmp_path: Path) -> None:
    usable = sorted(os.sched_getaffinity(0))
    small = Case("small", 1, Model.THREADED, Split.HALVES, 10, 1, (Slow("POST", 0.05, (0.5,)),))
    build = Fleetgate("fleetgate", sys.executable)
    cell = before_fleetgate(small, build, 1, tmp_path / "run", usable[0], usable[-1])
    assert cell.result.requests == 11
    assert (cell.result.not_executed, cell.result.failed, cell.result.repeated_posts) == (0, 0, 0)
    assert cell.result.statuses_of_slow == ("200",)
    assert cell.result.holds == 0


def test_a_run_is_one_row_and_one_object() -> None:
    cell = Cell("get-6s", "fleetgate", 1, "", counted(), 0.0, 0.0)
    text = report.markdown([cell, replace(cell, peer="nginx")], ("fleetgate",))
    assert "| get-6s | 1 × threaded; 100/0 | 2/s | 1 × GET 6 s | met (5, 5 ms) |" in text
    assert "| get-6s | each once; 200 × 1 | each once; 200 × 1 |" in text
    twice = replace(cell, result=replace(cell.result, executions_of_slow=(2,), repeated_slow=1))
    text = report.markdown([twice, replace(twice, peer="nginx")], ("fleetgate",))
    assert "| slow requests executed again 1 (5, 5 ms) |" in text
    assert "| get-6s | 2 × 1; 200 × 1 | 2 × 1; 200 × 1 |" in text
    assert report.judged(twice) == ("slow requests executed again: 1, target 0",)
    figures = json.loads(json.dumps(report.figures(cell, ("fleetgate",))))
    assert (figures["case"], figures["missed"], figures["executions_of_slow"]) == ("get-6s", [], [1])
    assert "missed" not in report.figures(cell, ())


def test_cases_stand_in_the_files_of_the_other_drills(tmp_path: Path) -> None:
    mixed = [Cell("get-6s", "fleetgate", number, "", counted(), 0.0, 0.0) for number in (1, 2)]
    for cells in ([], [drilled()]):
        drill_report.write_json(tmp_path / "r.json", cells, circumstances(), mixed)
        written = json.loads((tmp_path / "r.json").read_text())
        assert [run["drill"] for run in written["runs"]] == ["refused"] * len(cells)
        assert [(run["case"], run["run"]) for run in written["mixed"]] == [("get-6s", 1), ("get-6s", 2)]
        text = drill_report.markdown(cells, circumstances(), mixed)
        assert ("| refused | fleetgate |" in text) == bool(cells)
        assert "| get-6s |" in text
    assert case("get-6s").target == EXACTLY_ONCE
