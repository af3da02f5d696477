"""Files that the gateway believes after a restart: only it may have written them.

They say which routes are served, which clusters are held out and which processes are workers of ours.
"""

import os
import pwd
import stat
from pathlib import Path

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_PRIVATE = 0o700


class Untrusted(PermissionError):
    """Another user could have written a file; the message has the path, the fault and the fix."""


def default() -> Path:
    """Return where the state is kept unless asked otherwise. Raises RuntimeError without a home directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/fleetgate")
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "state") / "fleetgate"


def own(directory: Path) -> None:
    """Make sure that a directory exists, and that no other user writes to it. Raises OSError, Untrusted."""
    directory = directory.absolute()
    _check_links(directory)
    for missing in [path for path in (directory, *directory.parents) if not path.exists()][::-1]:
        missing.mkdir(mode=_PRIVATE, exist_ok=True)
    status = directory.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{directory} is no directory; remove it or choose another one")
    _check(directory, status)


def check_files(directory: Path) -> None:
    """Raises Untrusted when a file of ours in the directory may be another user's."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if ".json" in entry.name or entry.name in ("lock", "control.sock", "admin-token"):
            _check_file(Path(entry.path), entry.stat(follow_symlinks=False))


def read(path: Path) -> bytes:
    """Return the content of a file of ours. Raises OSError, Untrusted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        _check_file(path, path.lstat())  # a link: say so
        raise
    with open(descriptor, "rb") as file:
        _check_file(path, os.fstat(descriptor))
        return file.read()


def _check_links(directory: Path) -> None:
    """A link on the way must be root's or ours: another user's link could lead to another directory."""
    for path in (*reversed(directory.parents), directory):
        try:
            status = path.lstat()
        except FileNotFoundError:
            return
        if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
            raise Untrusted(
                f"{path} is a symbolic link of {_user(status.st_uid)}, who can point it anywhere; remove it"
            )


def _check_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise Untrusted(f"{path} is a symbolic link; remove it")
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISSOCK(status.st_mode):
        raise Untrusted(f"{path} is no regular file; remove it")
    if status.st_nlink > 1:
        raise Untrusted(f"{path} has another name elsewhere (a hard link); remove it")
    _check(path, status)


def _check(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        us, is_directory = _user(os.geteuid()), stat.S_ISDIR(status.st_mode)
        instead = (
            f"give a directory that does not exist yet, {path}/state say" if is_directory else "remove it"
        )
        raise Untrusted(
            f"{path} belongs to {_user(status.st_uid)}, and this process is {us};"
            f" {instead}, or, if you trust its content, chown {os.geteuid()} {path}"
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        mode = stat.S_IMODE(status.st_mode)
        raise Untrusted(
            f"{path} can be written by others (mode {mode:04o});"
            f" make sure that no other user has written to it, then chmod go-w {path}"
        )


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
