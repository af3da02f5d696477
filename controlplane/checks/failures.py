"""The meaning of an operating system's error of a check: a fault of the endpoint, or of this machine."""

import errno
import os
from typing import Final

from controlplane.checks.verdict import CheckOutcome, Result

CLOSED: Final = Result(CheckOutcome.CLOSED, "closed without an answer")

LATE_S: Final = 0.25
"""A deadline that is noticed so much too late was missed by this process, not by the endpoint."""

_LOCAL_ERRORS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
)


def failed(code: int) -> Result:
    """Return the result of a connect that ended with this errno."""
    if code == errno.ECONNREFUSED:
        return Result(CheckOutcome.REFUSED, "connection refused")
    kind = CheckOutcome.LOCAL if code in _LOCAL_ERRORS else CheckOutcome.UNREACHABLE
    return Result(kind, os.strerror(code).lower())


def timed_out(timeout_s: float, late_s: float) -> Result:
    """Return the result of a check without an answer in time, noticed `late_s` seconds after its timeout."""
    if late_s > LATE_S:
        return Result(CheckOutcome.LOCAL, "this process was busy")
    return Result(CheckOutcome.TIMEOUT, f"no answer within {timeout_s:g} s")
