"""How every child process is started: with which interpreter options, and in which environment.

A child must run the installed code, in any current directory and with any environment of the gateway, and
must know no secret that only the control plane needs.
"""

import os
import site
import sys

KEPT = ("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
"""Variables that a child gets, besides LC_*: language, time zone, temporary files, and the directories
in which some interpreters (those built with --enable-shared) find their own library. LD_PRELOAD is not
among them: it runs other people's code in the process that has the clients' bytes."""

_LISTS = ("LD_LIBRARY_PATH", "PATH")


def python(module: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours in the interpreter that runs this one.

    `-P`: the current directory is not searched. `-E`: PYTHONPATH, PYTHONHOME and their like are not
    read. `-s`: nor are packages in the home directory, unless this process has its own from there.
    """
    own = () if site.getusersitepackages() in sys.path else ("-s",)
    return (sys.executable, "-P", "-E", *own, "-m", module)


def environment() -> dict[str, str]:
    """Return the part of our environment that a child gets."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
    return {name: _absolute(value) if name in _LISTS else value for name, value in kept.items()}


def _absolute(paths: str) -> str:
    """Leave out entries for the current directory: empty ones, as in LD_LIBRARY_PATH=:/opt/lib."""
    return os.pathsep.join(path for path in paths.split(os.pathsep) if os.path.isabs(path))
