"""The mark of copies for mirrors: a gateway that meets a copy again does not copy it.

A mark from a client counts for nothing: the client could hide its requests from the mirror. Marks count from
trusted proxies, and where they have the number of this worker, which no client knows. The numbers of workers
that copied the request before stay in the mark: a mirror that leads back to the gateway gets one copy from
each worker.
"""

import re
from functools import cache
from secrets import token_hex
from typing import Final

from proxy.http.request_headers import RequestHeaders

_NAME: Final = b"x-fleetgate-mirror"
_NUMBER: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_MOST_NUMBERS: Final = 64  # numbers of workers in a mark; those that copied the request first are forgotten


@cache
def _own() -> bytes:
    """Return the number of this process. It is drawn at the first use: a process that forks after the
    import would share its number with its children."""
    return token_hex(8).encode()


def may_be_copied(headers: RequestHeaders, *, is_proxy: bool) -> bool:
    """Whether a request may be copied; `is_proxy`: its connection is that of a trusted proxy."""
    if headers.control.upgrade:
        return False
    marks = headers.values(_NAME)
    return not marks or not (is_proxy or is_own_copy(marks))


def is_own_copy(marks: tuple[bytes, ...]) -> bool:
    """Whether a request with these values of its mark is a copy that this worker has made."""
    return any(_own() in _NUMBER.findall(mark) for mark in marks)


def copy_mark(headers: RequestHeaders) -> bytes:
    """Return the field line that marks a copy of a request with these headers."""
    marks = headers.values(_NAME)
    numbers = [number for mark in marks for number in _NUMBER.findall(mark)][1 - _MOST_NUMBERS :]
    return b"X-Fleetgate-Mirror: %b\r\n" % b", ".join([*numbers, _own()])
