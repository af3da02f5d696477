"""The token that the admin API asks for: in a file that no other user can read, and nowhere else.

The gateway reads the file for each request that needs the token: a replaced file, as Kubernetes replaces
those of a mounted Secret, is a replaced token.
"""

import hmac
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

NAME: Final = "admin-token"
"""In the state directory, where no other file is given."""

_MOST_BYTES: Final = 4096
_TOKEN: Final = re.compile(rb"[!-~]{16,1024}")
_SHARED: Final = stat.S_IRWXG | stat.S_IRWXO
_SHARED_OF_ROOT: Final = stat.S_IWGRP | stat.S_IRWXO
"""A mounted Secret is root's, and its group (fsGroup) is how a pod reads it."""


class TokenError(Exception):
    """The file holds no usable token; the message has the path, the fault and the fix."""


class TokenFile:
    """See `read`, `accepts`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes:
        """Return the token. Raises TokenError."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                self._check(os.fstat(descriptor))
                token = file.read(_MOST_BYTES).strip()
        except OSError as error:
            raise TokenError(f"{self.path}: {error.strerror}; give a file that can be read") from None
        if _TOKEN.fullmatch(token) is None:
            raise TokenError(f"{self.path}: holds no token; write 16 to 1024 visible ASCII characters to it")
        return token

    def accepts(self, sent: bytes) -> bool:
        """Return whether this is the token, in a time that does not depend on it. Raises TokenError."""
        return hmac.compare_digest(self.read(), sent)

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise TokenError(f"{self.path}: is no regular file")
        us = os.geteuid()
        if us != 0 and status.st_uid not in (0, us):
            raise TokenError(f"{self.path}: belongs to uid {status.st_uid}, and this process is uid {us}")
        refused = _SHARED_OF_ROOT if status.st_uid == 0 and us != 0 else _SHARED
        if status.st_mode & refused:
            mode = stat.S_IMODE(status.st_mode)
            raise TokenError(f"{self.path}: others may read or write it (mode {mode:04o}); chmod 600 it")


def new_token() -> bytes:
    return secrets.token_hex(32).encode() + b"\n"
