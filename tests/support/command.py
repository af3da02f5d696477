"""The `fleetgate` command as a process: a fork of one that has done its imports, see `forks`."""

import os
import subprocess
import sys
from collections.abc import Mapping

from controlplane.cli.main import VERBS
from tests.support.forks import ForkServer, fork_server

MODULE = "controlplane.cli.main"
_LATE = ("controlplane.gateway.gateway", *(module for module, _ in VERBS.values()))


def server() -> ForkServer:
    return fork_server(sys.executable, MODULE, "", _LATE)


def fleetgate(
    *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; `environment` is added to that of this process."""
    return server().run(arguments, {**os.environ, **(environment or {})}, stdin)
