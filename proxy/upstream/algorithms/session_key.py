"""The names that cookies have for endpoints: only who has the key can make one.

A name that could be computed from what a client may know or guess, such as a service and an address, would
let it choose its endpoint. All workers and replicas have the same key, so they agree without a word.
"""

import hmac
import os

from proxy.model.channel import SESSION_KEY_BYTES

NAME_DIGITS = 16


class SessionKey:
    """Random until the control plane says which one it is. `epoch` changes with the key."""

    __slots__ = ("_key", "epoch")

    def __init__(self) -> None:
        self._key = os.urandom(SESSION_KEY_BYTES)
        self.epoch = 1

    def use(self, key: bytes) -> None:
        if key != self._key:
            self._key = key
            self.epoch += 1

    def name(self, *parts: str) -> bytes:
        """Return 16 hexadecimal digits: 64 bits of HMAC-SHA-256, which nobody finds by trying."""
        text = b"".join([b"%d:%b" % (len(part), part) for part in [part.encode() for part in parts]])
        return hmac.digest(self._key, text, "sha256").hex()[:NAME_DIGITS].encode()
