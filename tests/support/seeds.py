"""The examples of the seed documents: their manifests with the placeholders filled, their loops of curl."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.demo import RunningDemo

SEEDS = Path(__file__).parents[1] / "e2e" / "seeds"

PLACEHOLDERS = {
    "${cluster1}": "cluster-1",
    "${cluster2}": "cluster-2",
    "${cluster1-id}": "cluster-1",
    "${cluster2-id}": "cluster-2",
    "c15d48ca9d1fd43f9bbb89c56a474843c": "cluster-2",  # an ID of the author's
    "${vsw-id1}": "vsw-1",
    "${vsw-id2}": "vsw-2",
    "*****": "00001",  # the end of an ID that the document hides
}


@dataclass(frozen=True)
class Seeds:
    """A demo whose own rules and gateways are gone, so that those of the documents can be applied."""

    demo: RunningDemo

    def manifest(self, name: str) -> str:
        """Return a manifest as written but for placeholders and the port, which is any free one here."""
        text = (SEEDS / f"{name}.yaml").read_text()
        for placeholder, value in PLACEHOLDERS.items():
            text = text.replace(placeholder, value)
        return text.replace("8001", str(self.demo.port))

    def apply(self, name: str, *arguments: str) -> None:
        self.demo.kubectl("fleet", "apply", "-f", "-", *arguments, stdin=self.manifest(name))

    def delete(self, name: str) -> None:
        self.demo.kubectl("fleet", "delete", "-f", "-", stdin=self.manifest(name))

    def jsonpath(self, *arguments: str) -> str:
        """Return what `kubectl get` prints with the -o of the document as its last argument."""
        return self.demo.kubectl("fleet", "get", *arguments)


def loop(url: str, count: int, *headers: str, rate: str = "") -> "subprocess.Popen[str]":
    """Start the loop of the documents: `count` requests by curl, each on a connection of its own.

    It is one process (500 of them take 14 s of a busy machine) that counts in the fragment, which is
    not sent; without the documents' pauses of a second, but not faster than `rate`, "100/s" for example.
    """
    fields = [word for line in (*headers, "connection: close") for word in ("-H", line)]
    paced = ["--rate", rate] if rate else []
    return subprocess.Popen(
        ["curl", "-sS", "--stderr", "-", *paced, *fields, f"{url}#[1-{count}]"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def answered(process: "subprocess.Popen[str]") -> Counter[str]:
    """Count the environments that answered a loop; a line that is no answer of the demo counts as it is."""
    output, _ = process.communicate(timeout=60)
    return Counter(_environment(line) for line in output.splitlines())


def _environment(line: str) -> str:
    found = re.fullmatch(r"This is env (\w+) ! Config file is ?", line)
    return found.group(1) if found else line
