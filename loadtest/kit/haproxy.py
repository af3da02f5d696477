"""HAProxy: where it is, and how it is started."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtest.kit.programs import daemon, write


@dataclass(frozen=True, slots=True)
class HAProxy:
    binary: str

    def version(self) -> str:
        done = subprocess.run([self.binary, "-v"], capture_output=True, text=True, check=True)
        return done.stdout.split()[2]

    def command(self, directory: Path, text: str) -> list[str]:
        """Write a configuration; return the command that serves it in the foreground."""
        return [self.binary, "-db", "-f", write(directory / "haproxy.cfg", text)]

    def check_command(self, directory: Path, text: str) -> list[str]:
        """Write a configuration; return the command that fails when it is wrong."""
        return [self.binary, "-c", "-f", write(directory / "haproxy.cfg", text)]


def find() -> HAProxy:
    """Return the installed HAProxy. Raises Missing."""
    return HAProxy(daemon("haproxy", "haproxy"))
