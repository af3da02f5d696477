"""The examples of the seed documents: their manifests with the placeholders filled, their loops of curl."""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.demo import ROOT, RunningDemo

SEEDS = Path(__file__).parents[1] / "e2e" / "seeds"

PLACEHOLDERS = {
    "${cluster1}": "cluster-1",
    "${cluster2}": "cluster-2",
    "${cluster1-id}": "cluster-1",
    "${cluster2-id}": "cluster-2",
    "c6XXXXXXXXXXXXXXXXXXXXXXXXX": "cluster-1",
    "cdXXXXXXXXXXXXXXXXXXXXXXXXX": "cluster-2",
    "c15d48ca9d1fd43f9bbb89c56a474843c": "cluster-2",  # an ID of the author's
    "${vsw-id1}": "vsw-1",
    "${vsw-id2}": "vsw-2",
    "*****": "00001",  # the end of an ID that the document hides
}

DEPLOYMENT = """
apiVersion: v1
kind: Service
metadata: {{name: {service}}}
spec:
  selector: {{app: {service}}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {service}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {service}}}}}
  template:
    metadata: {{labels: {{app: {service}}}}}
    spec:
      containers:
      - name: demo
        image: fleetgate:latest
        env: [{{name: ENV_NAME, value: {env}}}]
        ports: [{{containerPort: 8080}}]
"""

SERVER_GROUP = """
apiVersion: fleetgate.io/v1
kind: ServerGroup
metadata:
  name: {name}
  namespace: default
spec:
  id: {identity}
  servers: {servers}
"""


@dataclass(frozen=True)
class Question:
    """A loop of the documents, and how many of its answers come from each environment.

    A key of `answers` is an environment, or a status that is no success.
    """

    path: str
    headers: tuple[str, ...]
    answers: dict[str, int]

    @property
    def count(self) -> int:
        return sum(self.answers.values())


@dataclass(frozen=True)
class Example:
    """An example of a document: the manifests to apply, by name and in order, and what is asked then.

    `as_written` leaves the placeholders in: clusters that do not exist.
    """

    section: str
    manifests: tuple[str, ...]
    questions: tuple[Question, ...]
    as_written: bool = False


@dataclass(frozen=True)
class Seeds:
    """A demo whose own rules and gateways are gone, so that those of the documents can be applied."""

    demo: RunningDemo

    @property
    def alb(self) -> str:
        return f"127.0.0.1:{self.demo.port}"

    @property
    def mse(self) -> str:
        return f"127.0.0.1:{self.demo.mse_port}"

    def manifest(self, name: str, *, as_written: bool = False) -> str:
        """Return a manifest as written but for the port, which is any free one here, and placeholders."""
        text = (SEEDS / f"{name}.yaml").read_text().replace("8001", str(self.demo.port))
        for placeholder, value in () if as_written else PLACEHOLDERS.items():
            text = text.replace(placeholder, value)
        return text

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl on the Fleet; return what it prints."""
        return self.demo.kubectl("fleet", *arguments, stdin=stdin)

    def apply(self, name: str, *, as_written: bool = False) -> None:
        self.kubectl("apply", "-f", "-", stdin=self.manifest(name, as_written=as_written))

    @contextmanager
    def applied(self, *names: str) -> Iterator[None]:
        """Manifests that are there as long as the block runs."""
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(self.present(self.manifest(name)))
            yield

    @contextmanager
    def present(self, manifest: str) -> Iterator[None]:
        """An object that is there as long as the block runs, whatever happens in it."""
        self.kubectl("apply", "-f", "-", stdin=manifest)
        try:
            yield
        finally:
            self.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifest)

    def namespace(self, name: str) -> None:
        """Create a namespace on the Fleet and in both clusters."""
        for server in ("fleet", "cluster-1", "cluster-2"):
            self.demo.kubectl(server, "create", "namespace", name)

    def deploy(
        self,
        service: str,
        envs: tuple[str, str],
        namespace: str = "default",
        replicas: tuple[int, int] = (1, 1),
    ) -> None:
        """Deploy a Service with pods of an environment in cluster-1, and of another in cluster-2."""
        for number, (env, count) in enumerate(zip(envs, replicas, strict=True), start=1):
            text = DEPLOYMENT.format(service=service, env=env, replicas=count)
            self.demo.kubectl(f"cluster-{number}", "-n", namespace, "apply", "-f", "-", stdin=text)

    @contextmanager
    def scaled_to_0(self, cluster: str, namespace: str, deployment: str, replicas: int) -> Iterator[None]:
        """A Deployment without pods as long as the block runs, then with `replicas`."""
        command = ("-n", namespace, "scale", f"deployment/{deployment}")
        self.demo.kubectl(cluster, *command, "--replicas=0")
        try:
            yield
        finally:
            self.demo.kubectl(cluster, *command, f"--replicas={replicas}")

    def server_group(
        self, number: int, identity: str, address: str, port: int
    ) -> AbstractContextManager[None]:
        """A group of one server that is there as long as the block runs."""
        servers = json.dumps([{"address": address, "port": port}])
        name = f"outside-{number}"
        return self.present(SERVER_GROUP.format(name=name, identity=identity, servers=servers))


@contextmanager
def outside_server(env: str) -> Iterator[int]:
    """A server outside the clusters that answers as `env`: its port."""
    command = [sys.executable, "-m", "controlplane.embedded.webdemo", f"--env={env}", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline().split()[1])
        finally:
            server.terminate()


def ask(url: str, count: int, *headers: str) -> Counter[str]:
    """Run a loop of the documents and count who answered: environments, statuses, else what curl said.

    It is one process (500 of them take 14 s of a busy machine) that counts in the fragment, which is
    not sent. Each request has a connection of its own, and there are no pauses.
    """
    command = _curl(url, count, headers)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return Counter(_who(line) for line in done.stdout.splitlines())


class Loop:
    """A loop that goes on while something happens; `answers` are those so far, in their order."""

    def __init__(self, output: Path) -> None:
        self._output = output

    @property
    def answers(self) -> list[str]:
        whole, _, _ = self._output.read_text().rpartition("\n")
        return [_who(line) for line in whole.splitlines()]

    def has(self, *environments: str) -> bool:
        """Whether each of them has answered."""
        return set(environments) <= set(self.answers)

    def goes_to(self, environment: str, count: int) -> bool:
        """Whether there are `count` answers, and the last twenty are its own."""
        answers = self.answers
        return len(answers) >= count and set(answers[-20:]) == {environment}


@contextmanager
def looping(url: str, *headers: str) -> Iterator[Loop]:
    """Ask up to 200 times a second until the block ends."""
    with tempfile.NamedTemporaryFile() as output:
        command = _curl(url, 1_000_000, headers, "--no-buffer", "--rate", "200/s")
        with subprocess.Popen(command, stdout=output) as process:
            try:
                yield Loop(Path(output.name))
            finally:
                process.terminate()


def _curl(url: str, count: int, headers: Iterable[str], *options: str) -> list[str]:
    fields = [word for line in (*headers, "connection: close") for word in ("-H", line)]
    return ["curl", "-sSf", "--stderr", "-", *options, *fields, f"{url}#[1-{count}]"]


def _who(line: str) -> str:
    found = re.fullmatch(r"This is env ([\w-]+) ! Config file is ?|curl: .* returned error: (\d+)", line)
    return found.group(1) or found.group(2) if found else line
