"""Requests that come back: CDN-Loop (RFC 8586) names the gateways that a request has passed.

Via has the same meaning, but origins take it for a proxy with limited abilities, and nginx, for example,
stops compressing its answers. A client can write CDN-Loop, too, and is then refused more often, never less.
"""

import re
from typing import Final

FIELD: Final = b"cdn-loop"
MAX_HOPS: Final = 16
"""Entries of CDN-Loop, by any gateway: no chain of gateways and CDNs that is meant is that long."""

UNNAMED: Final = b"\n"
"""The pseudonym of a gateway that has no name: no field has it."""

_NAME: Final = re.compile(r"[0-9a-z]{1,64}")


def pseudonym_of(gateway: str) -> bytes:
    """Return the name of a gateway in CDN-Loop, in lower case."""
    return b"fleetgate-" + gateway.encode() if _NAME.fullmatch(gateway) is not None else UNNAMED


def mark_of(pseudonym: bytes) -> bytes:
    """Return the line that a gateway adds to requests, b"" for one without a name."""
    return b"CDN-Loop: %b\r\n" % pseudonym if pseudonym != UNNAMED else b""


def is_loop(passed: bytes, pseudonym: bytes) -> bool:
    """Say whether a request is not to go on; `passed` are the values of its fields, joined, in lower case."""
    if passed.count(b",") >= MAX_HOPS:
        return True
    if pseudonym not in passed:
        return False
    return any(entry.partition(b";")[0].strip(b" \t") == pseudonym for entry in passed.split(b","))
