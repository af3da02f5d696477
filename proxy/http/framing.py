"""Lengths of bodies that are no numbers of bytes (RFC 9112 §6.3)."""

from typing import Final

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2
