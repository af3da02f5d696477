"""Verdicts from results of single checks: a number of equal results in a row changes a verdict. Pure."""

from enum import StrEnum

import msgspec

from proxy.model.snapshot import HealthCheck


class CheckOutcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    STATUS = "status"  # an answer, but not a good one
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"  # before the status was there
    MALFORMED = "malformed"  # it does not speak HTTP
    LOCAL = "local"  # the cause is here: it says nothing about the endpoint


class Result(msgspec.Struct, frozen=True):
    kind: CheckOutcome
    cause: str = ""  # in words; "" when it passed


PASSED = Result(CheckOutcome.PASSED)


class Verdict(msgspec.Struct):
    """The verdict of the checks of one endpoint so far. Times are Unix seconds."""

    since: float  # when it became failing, or stopped to be
    failing: bool = False
    against: int = 0  # results in a row that contradict it
    last_at: float = 0.0
    last_cause: str = ""  # of the last bad result

    def heard(self, result: Result, check: HealthCheck, now: float) -> bool:
        """Take a result into account; return whether that changes the verdict."""
        if result.kind is CheckOutcome.LOCAL:
            return False
        self.last_at = now
        passed = result.kind is CheckOutcome.PASSED
        if not passed:
            self.last_cause = result.cause
        self.against = self.against + 1 if passed is self.failing else 0
        if self.against < (check.healthy if self.failing else check.unhealthy):
            return False
        self.failing, self.against, self.since = not self.failing, 0, now
        return True
