"""A network of its own for a cluster, whose link can be made to lead nowhere. Needs root and iproute2."""

import os
import shutil
import subprocess

from loadtest.kit.programs import SYSTEM_PATH, Missing

_NOBODY = "02:00:00:00:00:99"
_BENCHMARKS = "198.18"
"""RFC 2544: addresses for benchmarks, which no network uses."""


class Network:
    """A network namespace and a pair of virtual interfaces, removed at the end. Raises Missing.

    A black hole is an Ethernet address that no interface has: from then on frames of open connections and new
    ones are lost alike, in both directions, without an error on either side.
    """

    def __init__(self) -> None:
        self._ip = shutil.which("ip") or shutil.which("ip", path=SYSTEM_PATH) or ""
        if os.geteuid() or not self._ip:
            raise Missing("a network of its own needs root and the program ip (Debian: iproute2)")
        pid = os.getpid()
        self._name = f"fleetgate-drill-{pid}"
        self._outside, self._inside = f"fgd{pid}a", f"fgd{pid}b"
        block = f"{_BENCHMARKS}.{pid // 64 % 256}"
        self._host, self.address = (f"{block}.{pid % 64 * 4 + last}" for last in (1, 2))

    def __enter__(self) -> "Network":
        self._run("netns", "add", self._name)
        try:
            self._connect()
        except Missing:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the interfaces first: the kernel removes those of a deleted namespace with a delay."""
        subprocess.run([self._ip, "link", "del", self._outside], capture_output=True, check=False)
        subprocess.run([self._ip, "netns", "del", self._name], capture_output=True, check=False)

    @property
    def enter(self) -> list[str]:
        """The command that runs a command in there."""
        return [self._ip, "netns", "exec", self._name]

    def cut(self) -> None:
        nobody = ("lladdr", _NOBODY, "nud", "permanent")
        self._run("neigh", "replace", self.address, *nobody, "dev", self._outside)
        self._run("-n", self._name, "neigh", "replace", self._host, *nobody, "dev", self._inside)

    def restore(self) -> None:
        self._run("-n", self._name, "neigh", "del", self._host, "dev", self._inside)
        self._run("neigh", "del", self.address, "dev", self._outside)

    def _connect(self) -> None:
        inside = ("-n", self._name)
        self._run("link", "add", self._outside, "type", "veth", "peer", "name", self._inside)
        self._run("link", "set", self._inside, "netns", self._name)
        self._run("address", "add", f"{self._host}/30", "dev", self._outside)
        self._run("link", "set", self._outside, "up")
        self._run(*inside, "address", "add", f"{self.address}/30", "dev", self._inside)
        self._run(*inside, "link", "set", self._inside, "up")
        self._run(*inside, "link", "set", "lo", "up")

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([self._ip, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
