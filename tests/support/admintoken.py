"""The token of admin APIs in tests."""

import atexit
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from controlplane.admin.access import AdminAccess
from controlplane.admin.token import NAME, TokenFile

TOKEN: Final = "t0ken-of-the-tests"
BEARER: Final = {"Authorization": f"Bearer {TOKEN}"}


@cache
def token_file() -> TokenFile:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / NAME
    path.touch(0o600)
    path.write_text(TOKEN + "\n")
    return TokenFile(path)


def local() -> AdminAccess:
    """Return the access of an admin API on loopback."""
    return AdminAccess(token_file(), is_local=True)
