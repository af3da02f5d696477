"""A run of a drill as it is recorded, and what is made of it."""

from dataclasses import replace

from loadtest.drills import report, site
from loadtest.drills.drills import select
from loadtest.drills.load import Request
from loadtest.drills.measure import measure
from loadtest.drills.record import Period, Received, Record
from loadtest.drills.run import Cell, Plan
from loadtest.drills.wire import Sent

HIT_PORT, OTHER_PORT = 2000, 1000


def asked(number: int, due: float, took_s: float = 0.005, status: int = 200, post: bool = False) -> Request:
    arrival = f"1-{number}" if status == 200 else ""
    return Request(str(number), post, due, due + took_s, status, arrival)


def record(**changes: object) -> Record:
    """Ten seconds of ten requests each, every second one to either cluster; hit at 4, healed at 7."""
    requests = [asked(number, number / 10, post=number % 4 == 3) for number in range(100)]
    wire = [
        Sent(each.due, (OTHER_PORT, HIT_PORT)[number % 2], "POST" if each.is_post else "GET", each.identity)
        for number, each in enumerate(requests)
    ]
    received = [
        Received(
            *(each.time, site.HIT if each.port == HIT_PORT else site.SURVIVOR, each.kind, each.identity),
            f"1-{each.identity}",
        )
        for each in wire
    ]
    fault = (Period(4.0, 7.0),)
    whole = Record(10, 0.0, 4.0, 7.0, 10.0, fault, requests, received, wire, (HIT_PORT,))
    return replace(whole, **changes)  # type: ignore[arg-type]


def cell(run: int = 1, drill: str = "refused", **changes: object) -> Cell:
    result = measure(record(), select([drill])[0].evidence_s)
    return Cell(drill, "fleetgate", run, "", replace(result, **changes), (), 0.0, 0.0)  # type: ignore[arg-type]


def circumstances() -> report.Circumstances:
    plan = Plan(1000, 5.0, 10.0, 5.0, 0, 1)
    return report.Circumstances("2026-11-21", plan, 2, {"fleetgate": "1"}, ("a remark",), ("fleetgate",))
