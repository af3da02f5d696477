"""The names of endpoints in cookies. Only a holder of the key can make a name.

A client that could compute a name, from a service and an address for instance, could choose its endpoint. All
workers and replicas have the same key, so their names agree.
"""

import hmac
import os

from proxy.model.channel import SESSION_KEY_BYTES

NAME_DIGITS = 16


class SessionKey:
    """The key, random until the control plane sends one. `epoch` changes with the key."""

    __slots__ = ("_key", "epoch")

    def __init__(self) -> None:
        self._key = os.urandom(SESSION_KEY_BYTES)
        self.epoch = 1

    def use(self, key: bytes) -> None:
        if key != self._key:
            self._key = key
            self.epoch += 1

    def name(self, *parts: str) -> bytes:
        """Return 16 hexadecimal digits: 64 bits of HMAC-SHA-256, too many to be found by trying."""
        text = b"".join([b"%d:%b" % (len(part), part) for part in [part.encode() for part in parts]])
        return hmac.digest(self._key, text, "sha256").hex()[:NAME_DIGITS].encode()
