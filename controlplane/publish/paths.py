"""Where the control socket lives: in the state directory, or elsewhere when that path is too long."""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

import msgspec

MAX_SOCKET_PATH_BYTES = 107
"""sizeof(sockaddr_un.sun_path) is 108 on Linux, with a terminating zero."""

SOCKET_NAME = "control.sock"


class SocketPlace(msgspec.Struct, frozen=True):
    """The path of the control socket, and the private directory to remove with it, if there is one."""

    path: Path
    private_directory: Path | None = None

    def clean_up(self) -> None:
        self.path.unlink(missing_ok=True)
        if self.private_directory is not None:
            with contextlib.suppress(OSError):
                self.private_directory.rmdir()


def place_socket(state_dir: Path) -> SocketPlace:
    """Return a usable place for the control socket of this state directory.

    The substitute directory has a name derived from the state directory, because workers that
    outlived a killed control plane look for its successor there. Raises OSError.
    """
    path = state_dir.resolve() / SOCKET_NAME
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return SocketPlace(path)
    digest = hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"fleetgate-{os.getuid()}-{digest}"
    _ensure_private(directory)
    return SocketPlace(directory / SOCKET_NAME, directory)


def _ensure_private(directory: Path) -> None:
    """Make the directory ours alone; anyone can create names in the system's temp directory first."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{directory} exists and belongs to another user; remove it")
    directory.chmod(0o700)
