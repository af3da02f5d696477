"""Observations of one worker about one endpoint, from the first request on."""

from math import inf

from proxy.upstream.evidence.concurrency import Concurrency
from proxy.upstream.evidence.given_up import GivenUp


class Observed:
    """The observations about one endpoint. Times are monotonic seconds."""

    __slots__ = (
        "concurrency",
        "given_up",
        "has_stopped",
        "key",
        "moved",
        "passed_over",
        "probed_at",
        "rehearsed_at",
        "took_s",
        "vouched_at",
    )

    def __init__(self, key: int) -> None:
        """`key` is the key of the endpoint's address: the same in all workers, and for all services."""
        self.key = key
        self.concurrency = Concurrency()
        self.took_s = 0.0  # average time of an answer; the last few weigh more
        self.given_up = GivenUp()
        self.has_stopped = False  # proven, and nothing has come since
        self.moved = 0  # requests that left it in this stall
        self.probed_at = -inf  # when the last liveness probe of a silence began
        self.vouched_at = -inf  # when the last answer to a probe came
        self.rehearsed_at = -inf  # start of the last probe that was sent while the endpoint was healthy
        self.passed_over = 0  # probes in a row that had no answer while later requests had
