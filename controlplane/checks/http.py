"""The request of a health check, and the status of its answer: no more of HTTP/1 than that. Pure."""

import re
from typing import Final

from controlplane.checks.verdict import PASSED, CheckOutcome, Result
from proxy.model.snapshot import HealthCheck

MAX_HEAD: Final = 8192
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*+)?\r?\n")
_END: Final = re.compile(rb"\n\r?\n")


class NotHttp(Exception):
    """The bytes are no response."""


def request(check: HealthCheck, address: str) -> bytes:
    """Return a request whose answer ends the connection. Without a host the address stands in Host, as in
    ALB.
    """
    host = check.host or (f"[{address}]" if ":" in address else address)
    length = "Content-Length: 0\r\n" if check.method == "POST" else ""
    constant = "User-Agent: fleetgate-health-check\r\nAccept: */*\r\nConnection: close\r\n"
    return (
        f"{check.method} {check.path} HTTP/{check.version}\r\nHost: {host}\r\n{constant}{length}\r\n"
    ).encode("ascii")


def status_in(received: bytes) -> int | None:
    """Return the status of the final response, None while it is not there. Raises NotHttp."""
    start = 0
    while b"HTTP/1.".startswith(received[start : start + 7]) or received.startswith(b"HTTP/1.", start):
        found = _STATUS_LINE.match(received, start)
        if found is None:
            if b"\n" in received[start:]:
                break
            _check_size(received)
            return None
        status = int(found[1])
        if status >= 200 or status == 101:
            return status
        end = _END.search(received, found.end() - 1)  # 100 and 103: another one follows
        if end is None:
            _check_size(received)
            return None
        start = end.end()
    raise NotHttp


def judged(received: bytes, check: HealthCheck) -> Result | None:
    """Return the result of an answer, None while its status is incomplete."""
    try:
        status = status_in(received)
    except NotHttp:
        return Result(CheckOutcome.MALFORMED, "the answer is not HTTP")
    if status is None:
        return None
    return PASSED if status // 100 in check.statuses else Result(CheckOutcome.STATUS, f"status {status}")


def _check_size(received: bytes) -> None:
    if len(received) >= MAX_HEAD:
        raise NotHttp


def is_head_over(received: bytes) -> bool:
    """Whether all of the answer to a HEAD is there."""
    return _END.search(received) is not None
