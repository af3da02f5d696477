"""Failed attempts and lost requests, over all workers that ever ran."""

from controlplane.publish.failures import LOST_FLAGS
from controlplane.publish.ledger import Ledger
from proxy.model.flags import FLAGS
from proxy.model.statistics import AttemptCount, RequestCount, Stats


def report(*counts: RequestCount | AttemptCount) -> Stats:
    requests = tuple(count for count in counts if isinstance(count, RequestCount))
    attempts = tuple(count for count in counts if isinstance(count, AttemptCount))
    return Stats(7, requests, (), attempts, (), (), 0.0, 0)


def request(cluster: str, code_class: str, flag: str, count: int) -> RequestCount:
    return RequestCount("http-80", "shop/web/0/0", "shop/web:80", cluster, code_class, flag, count)


FIRST = report(
    request("a", "2xx", "-", 50),
    request("a", "5xx", "UF", 2),
    request("a", "2xx", "UC", 1),  # cut in the middle
    request("a", "4xx", "DC", 8),
    request("b", "2xx", "CF", 3),
    request("b", "5xx", "-", 4),  # whatever the endpoint meant by it
    AttemptCount("shop/web:80", "a", "b", "refused", 3),
    AttemptCount("shop/web:80", "a", "", "refused", 2),
    AttemptCount("shop/web:80", "b", "", "status", 4),
)
SECOND = report(request("a", "5xx", "UT", 10), AttemptCount("shop/web:80", "a", "b", "refused", 1))


def test_workers_are_summed_alive_or_dead() -> None:
    ledger = Ledger()
    for worker, stats in enumerate((FIRST, SECOND)):
        ledger.reported((worker, 100 + worker), stats)
    alive = ledger.failures()
    assert alive.lost == {("shop/web:80", "a"): 13, ("shop/web:80", "b"): 4}
    assert alive.attempts["shop/web:80", "a", "b", "refused"] == 4
    ledger.exited((0, 100), connected=False)
    assert ledger.failures() == alive


def test_failures_added_since_are_the_difference() -> None:
    ledger = Ledger()
    ledger.reported((0, 100), FIRST)
    before = ledger.failures()
    ledger.reported((1, 101), SECOND)
    added = ledger.failures().since(before)
    assert added.lost == {("shop/web:80", "a"): 10}
    assert added.attempts == {("shop/web:80", "a", "b", "refused"): 1}


def test_flags_are_those_of_the_data_plane() -> None:
    assert FLAGS.keys() >= LOST_FLAGS
