"""Statuses are written once, by the leader, and only when they say something new."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from controlplane.kube.store import StoredStatus
from controlplane.report.findings import MOST_OF_OBJECT
from controlplane.resources.kinds import ALBCONFIGS, INGRESSES
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.model import ObjectStatus
from tests.report.conftest import Desk, served
from tests.support.fakeapi import Exchange
from tests.support.waiting import until

PATCH = "patch ingresses"


def finding(uid: str, *, generation: int = 1, name: str = "web", problem: str = "is no number") -> Diagnostic:
    findings = Findings(Subject("Ingress", "demo", name, uid, generation))
    findings.add("FG0201", "metadata.annotations.x", "y", problem=problem, allowed="a number")
    return findings.items[0]


def events(desk: Desk, reason: str) -> list[str]:
    stored = desk.api.store.objects["events"].values()
    return [event["message"] for event in stored if event["reason"] == reason]


async def test_a_status_is_written_with_the_uid_as_precondition(desk: Desk) -> None:
    uid = desk.add("web")
    desk.writer.submit((served("web", uid),), ())
    await until(lambda: desk.status("web"))
    (request,) = desk.api.seen(PATCH)
    assert request.path.endswith("/namespaces/demo/ingresses/web/status")
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert f'"uid":"{uid}"'.encode() in request.body
    assert desk.status("web") == served("web", uid).status


async def test_a_thousand_submissions_without_a_change_are_no_writes(desk: Desk) -> None:
    uids = {name: desk.add(name, status=served(name, "").status) for name in ("a", "b", "c")}
    for _ in range(1000):
        desk.writer.submit(tuple(served(name, uid) for name, uid in uids.items()), ())
        await asyncio.sleep(0)
    await desk.idle()
    assert desk.api.seen(PATCH) == []
    assert desk.writer.counters.noop == desk.writer.counters.total > 0


async def test_our_own_write_is_not_repeated_while_the_watch_lags(desk: Desk) -> None:
    uid = desk.add("web")
    desk.frozen = {"demo/web": StoredStatus(uid, "1", b"")}
    for _ in range(3):
        desk.writer.submit((served("web", uid),), ())
        await until(lambda: desk.status("web"))
        await desk.idle()
    assert len(desk.api.seen(PATCH)) == 1


async def test_fields_that_the_server_drops_are_not_written_for_ever(desk: Desk) -> None:
    async def pruning(exchange: Exchange) -> None:
        pruned = desk.api.store.objects["ingresses"]["demo/web"]
        desk.api.store.put("ingresses", pruned | {"status": {"loadBalancer": {}}})
        await exchange.answer(200, desk.api.store.objects["ingresses"]["demo/web"])

    uid = desk.add("web")
    desk.api.always[PATCH] = pruning
    for _ in range(3):
        desk.writer.submit((served("web", uid),), ())
        await until(lambda: desk.api.seen(PATCH))
        await desk.idle()
    assert len(desk.api.seen(PATCH)) == 1


async def test_a_status_that_another_writer_changed_is_mended(desk: Desk) -> None:
    uid = desk.add("web")
    desk.writer.submit((served("web", uid),), ())
    await until(lambda: desk.status("web"))
    desk.add("web", status={"loadBalancer": {"ingress": [{"ip": "6.6.6.6"}]}})
    desk.writer.submit((served("web", uid),), ())
    await until(lambda: desk.status("web") == served("web", uid).status)


async def test_only_the_leader_writes(desk: Desk) -> None:
    uid = desk.add("web")
    other = {"holderIdentity": "other", "leaseDurationSeconds": 3600}
    meta = {"name": "fleetgate", "namespace": "kube-system"}
    desk.api.store.put("leases", {"metadata": meta, "spec": other})
    await until(lambda: desk.api.seen("get leases") and not desk.elector.is_leader)
    desk.writer.submit((served("web", uid),), (finding(uid),))
    await asyncio.sleep(0.1)
    assert desk.api.seen(PATCH) == []
    assert desk.api.seen("create events") == []


@pytest.mark.parametrize(("status", "reason"), [(409, "Conflict"), (404, "NotFound"), (422, "Invalid")])
async def test_a_conflict_is_counted_and_harms_no_other_object(desk: Desk, status: int, reason: str) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(status, reason, "no")

    first, second = desk.add("a"), desk.add("b")
    desk.api.script[PATCH].append(refuse)
    desk.writer.submit((served("a", first), served("b", second)), ())
    await until(lambda: desk.status("b"))
    assert desk.writer.counters.conflict == 1
    assert desk.writer.counters.failed == 0
    desk.writer.submit((served("a", first), served("b", second)), ())
    await until(lambda: desk.status("a"))


async def test_a_status_refused_because_the_watch_lags_is_written_when_the_watch_has_caught_up(
    desk: Desk,
) -> None:
    async def refuse(exchange: Exchange) -> None:
        desk.frozen = None
        await exchange.fail(409, "Conflict", "the object has been modified")

    uid = desk.add("web")
    desk.frozen = {"demo/web": StoredStatus(uid, "1", b"")}
    desk.api.script[PATCH].append(refuse)
    desk.writer.submit((served("web", uid),), ())  # once: a newer status alone is no change of the rules
    await until(lambda: desk.status("web"))


async def test_a_status_that_is_always_refused_is_tried_ever_less_often(desk: Desk) -> None:
    async def refuse(exchange: Exchange) -> None:
        times.append(asyncio.get_running_loop().time())
        await exchange.fail(422, "Invalid", "no")

    times: list[float] = []
    uid = desk.add("web")
    desk.api.always[PATCH] = refuse
    desk.writer.submit((served("web", uid),), ())
    await until(lambda: len(times) == 4)
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[0] >= 0.4
    assert pauses[2] >= 1.9


async def test_a_failure_is_counted_and_named(desk: Desk) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(403, "Forbidden", "cannot patch ingresses/status")

    uid = desk.add("web")
    desk.api.script[PATCH].append(refuse)
    desk.writer.submit((served("web", uid),), ())
    await until(lambda: desk.writer.counters.failed == 1)
    assert "cannot patch ingresses/status; grant it" in desk.writer.last_error


async def test_an_object_created_anew_gets_nothing_that_was_meant_for_the_old_one(desk: Desk) -> None:
    desk.add("web")
    desk.writer.submit((served("web", "uid of the old one"),), ())
    await desk.idle()
    assert desk.api.seen(PATCH) == []


async def test_nothing_is_lost_while_the_api_server_is_away(desk: Desk) -> None:
    uid = desk.add("web")
    await desk.elector.leading()
    await desk.api.stop()
    desk.writer.submit((served("web", uid),), ())
    await until(lambda: desk.writer.last_error)
    await desk.api.start()
    await until(lambda: desk.status("web"))


async def test_writes_are_limited_to_ten_a_second_after_a_burst(desk: Desk) -> None:
    uids = {f"i{number}": desk.add(f"i{number}") for number in range(100)}
    started = desk.clock.now_s
    desk.writer.submit(tuple(served(name, uid) for name, uid in uids.items()), ())
    await until(lambda: desk.writer.counters.written == 100)
    assert desk.clock.now_s - started >= 4.9


async def test_conditions_get_their_time_and_keep_it(desk: Desk) -> None:
    def status(message: str, state: str) -> ObjectStatus:
        condition = {"type": "Programmed", "status": state, "reason": "R", "message": message}
        return ObjectStatus(ALBCONFIGS, "", "gateway", uid, {"conditions": [condition]})

    stored = desk.api.store.put("albconfigs", {"metadata": {"name": "gateway", "generation": 1}})
    uid = stored["metadata"]["uid"]
    times = []
    for message, state in (("one", "True"), ("two", "True"), ("two", "False")):
        desk.clock.now_s += 10
        before = desk.writer.counters.written
        desk.writer.submit((status(message, state),), ())
        await until(lambda: desk.writer.counters.written == before + 1)  # noqa: B023
        (condition,) = desk.api.store.objects["albconfigs"]["gateway"]["status"]["conditions"]
        assert condition["message"] == message
        times.append(condition["lastTransitionTime"])
    assert times[0] == times[1] < times[2]


async def test_a_finding_is_an_event_once_per_object_code_and_generation(desk: Desk) -> None:
    uid = desk.add("web")
    for _ in range(20):
        desk.writer.submit((), (finding(uid), finding("", name="in a member")))
        await asyncio.sleep(0.002)
    await until(lambda: events(desk, "InvalidAnnotation"))
    desk.writer.submit((), (finding(uid, generation=2),))
    await until(lambda: len(events(desk, "InvalidAnnotation")) == 2)
    assert len(desk.api.seen("create events")) == 2
    assert events(desk, "InvalidAnnotation")[0].startswith('FG0201 metadata.annotations.x: "y": is no number')


async def test_two_findings_of_a_code_about_one_field_are_two_events(desk: Desk) -> None:
    uid = desk.add("web")
    desk.writer.submit((), (finding(uid, problem="names c8"), finding(uid, problem="names c9")))
    await until(lambda: len(events(desk, "InvalidAnnotation")) == 2)


async def test_a_finding_that_persists_is_told_again_before_it_is_forgotten(desk: Desk) -> None:
    uid = desk.add("web")
    desk.writer.submit((), (finding(uid),))
    await until(lambda: desk.recorder.counters.written == 1)
    desk.clock.now_s += 1800
    desk.writer.submit((), (finding(uid),))
    await until(lambda: desk.recorder.counters.repeated == 1)


async def test_an_accepted_ingress_is_told_synced_once_per_generation(desk: Desk) -> None:
    uid, broken = desk.add("web"), desk.add("broken")
    submission = (served("web", uid), served("broken", broken))
    for _ in range(5):
        desk.writer.submit(submission, (finding(broken, name="broken"),))
        await asyncio.sleep(0.01)
    await until(lambda: events(desk, "Synced"))
    desk.add("web", generation=2)
    desk.writer.submit(submission, (finding(broken, name="broken"),))
    await desk.idle()
    assert len(events(desk, "Synced")) == 1  # that status is of the generation before
    desk.writer.submit((served("web", uid, generation=2),), ())
    await until(lambda: len(events(desk, "Synced")) == 2)
    assert events(desk, "Synced")[0] == "serving at gw.example, port 8001"


def placed(desk: Desk, namespace: str, name: str) -> tuple[ObjectStatus, Diagnostic]:
    """Store an Ingress in a namespace; return a status for it, and a finding."""
    meta = {"namespace": namespace, "name": name, "generation": 1}
    uid = desk.api.store.put("ingresses", {"metadata": meta})["metadata"]["uid"]
    findings = Findings(Subject("Ingress", namespace, name, uid, 1))
    findings.add("FG0201", "metadata.annotations.x", "y", problem="is no number", allowed="a number")
    status = {"loadBalancer": {"ingress": [{"hostname": "gw.example"}]}}
    return ObjectStatus(INGRESSES, namespace, name, uid, status, 1), findings.items[0]


def written(desk: Desk) -> list[str]:
    """Return the Ingresses whose statuses were written, in that order."""
    parts = [request.path.split("/") for request in desk.api.seen(PATCH)]
    return [f"{each[each.index('namespaces') + 1]}/{each[each.index('ingresses') + 1]}" for each in parts]


async def test_neither_statuses_nor_findings_of_one_namespace_hold_up_those_of_another(desk: Desk) -> None:
    noisy = [placed(desk, "a-noisy", f"web-{number}") for number in range(2000)]
    quiet = placed(desk, "b-quiet", "web")
    statuses, findings = zip(*noisy, quiet, strict=True)
    desk.writer.submit(statuses, findings)
    await until(lambda: "b-quiet/web" in written(desk))
    await until(lambda: [key for key in desk.api.store.objects["events"] if key.startswith("b-quiet/")])
    assert len(written(desk)) <= 60  # a burst, and the first of the quiet one among it
    assert written(desk).index("b-quiet/web") == 1
    assert desk.recorder.counters.written <= 60
    assert desk.recorder.counters.dropped == 0


async def test_a_namespace_that_changes_all_the_time_does_not_keep_another_from_its_turn(desk: Desk) -> None:
    quiet, _ = placed(desk, "b-quiet", "web")
    noisy = [placed(desk, "a-noisy", f"web-{number}")[0] for number in range(20)]
    await asyncio.sleep(0)
    for number in range(200):
        status = {"loadBalancer": {"ingress": [{"hostname": f"gw-{number}.example"}]}}
        changing = tuple(replace(each, status=status) for each in noisy)
        desk.writer.submit((*changing, quiet), ())
        await asyncio.sleep(0.005)
        if "b-quiet/web" in written(desk):
            break
    assert "b-quiet/web" in written(desk)


async def test_many_findings_of_one_object_are_few_events_and_one_that_counts_the_rest(desk: Desk) -> None:
    uid = desk.add("web")
    many = tuple(finding(uid, problem=f"names c{number}") for number in range(8000))
    desk.writer.submit((), many)
    await until(lambda: events(desk, "MoreFindings"))
    await until(lambda: desk.recorder.pending == 0)
    assert len(events(desk, "InvalidAnnotation")) == MOST_OF_OBJECT
    (summary,) = events(desk, "MoreFindings")
    assert summary.startswith(f"{8000 - MOST_OF_OBJECT} more findings (")
    assert "/api/v1/diagnostics?namespace=demo&name=web" in summary


OWN = {"hostname": "gw.example", "ports": [{"port": 8001, "protocol": "TCP"}]}
FOREIGN: list[dict[str, Any]] = [
    {"hostname": "gw.example"},
    {"hostname": "other.example", "ports": [{"port": 8001, "protocol": "TCP"}]},
    {"ip": "192.0.2.1"},
    {"hostname": "gw.example", "ports": [{"port": 8001, "protocol": "TCP", "error": "x"}]},
]


def released(name: str, uid: str) -> ObjectStatus:
    return ObjectStatus(INGRESSES, "demo", name, uid, {}, 1, releases="gw.example")


@pytest.mark.parametrize("others", [[], *([entry] for entry in FOREIGN), FOREIGN])
async def test_our_address_goes_with_the_class_and_no_other_does(
    desk: Desk, others: list[dict[str, Any]]
) -> None:
    uid = desk.add("web", status={"loadBalancer": {"ingress": [*others, OWN]}})
    desk.writer.submit((released("web", uid),), ())
    await until(lambda: desk.status("web") == {"loadBalancer": {"ingress": others}})
    await desk.idle()
    assert len(desk.api.seen(PATCH)) == 1


async def test_a_foreign_ingress_is_not_written(desk: Desk) -> None:
    uids = {
        f"web-{number}": desk.add(f"web-{number}", status={"loadBalancer": {"ingress": [entry]}})
        for number, entry in enumerate(FOREIGN)
    }
    uids["none"] = desk.add("none")
    desk.writer.submit(tuple(released(name, uid) for name, uid in uids.items()), ())
    await desk.idle()
    assert desk.api.seen(PATCH) == []


async def test_an_address_that_another_controller_writes_meanwhile_is_not_touched(desk: Desk) -> None:
    uid = desk.add("web", status={"loadBalancer": {"ingress": [OWN]}})
    seen = desk.current(INGRESSES, "demo", "web")
    assert seen is not None
    desk.frozen = {"demo/web": seen}  # the watch lags behind what another controller writes
    desk.add("web", status={"loadBalancer": {"ingress": [FOREIGN[1]]}})
    desk.writer.submit((released("web", uid),), ())
    await until(lambda: desk.writer.counters.conflict)
    assert desk.status("web") == {"loadBalancer": {"ingress": [FOREIGN[1]]}}
