"""Identifiers for requests that come without one."""

import os
from itertools import count
from typing import Final

_LOW_DIGITS: Final = [b"%03x" % number for number in range(4096)]


class RequestIds:
    """Makes the identifiers of a worker: a random part, and a counter."""

    __slots__ = ("_low", "_prefix", "_prefixes", "_random")

    def __init__(self) -> None:
        self._random = os.urandom(8).hex().encode()
        self._prefixes = count(1)
        self._prefix = b""  # all digits but the last three
        self._low = len(_LOW_DIGITS)

    def next(self) -> bytes:
        """Return 24 hexadecimal digits that no other request has."""
        low = self._low
        if low == len(_LOW_DIGITS):
            low = 0
            self._prefix = self._random + b"%05x" % next(self._prefixes)
        self._low = low + 1
        return self._prefix + _LOW_DIGITS[low]
