"""What one worker has observed of one endpoint: made when the endpoint gets its first request."""

from math import inf

from proxy.upstream.evidence.concurrency import Concurrency
from proxy.upstream.evidence.given_up import GivenUp


class Observed:
    """Times are monotonic seconds."""

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
        """`key` is what all workers know its address by, whatever service it belongs to."""
        self.key = key
        self.concurrency = Concurrency()
        self.took_s = 0.0  # what answers take on average, the last few more than those before
        self.given_up = GivenUp()
        self.has_stopped = False  # proven, and nothing has come since
        self.moved = 0  # requests that left it in the stall that lasts
        self.probed_at = -inf  # when the last liveness probe of a silence began
        self.vouched_at = -inf  # when the last answer to a probe came
        self.rehearsed_at = -inf  # when the last one began that was sent while all was well
        self.passed_over = 0  # probes in a row that had no answer while later requests had
