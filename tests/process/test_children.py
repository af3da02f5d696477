"""Children run the installed code in an environment of their own, wherever the gateway was started."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.gateway.settings import Settings
from controlplane.gateway.workers import WorkerPool
from controlplane.system import children
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
KNOW_THE_INTERPRETER = {
    "controlplane/system/children.py",
    "controlplane/cli/main.py",
    "loadtest/kit/options.py",
    "loadtest/kit/fleetgate.py",
    "loadtest/kit/processes.py",
}
FLEETGATE = Path(sys.executable).parent / "fleetgate"
POISON = """
import os
with open({file!r}, "a") as file:
    file.write(open("/proc/self/cmdline").read() + "\\n")
raise SystemExit("poisoned")
"""
IMPORTED = ("click", "controlplane", "httpx", "msgspec", "proxy", "re2", "uvloop", "yaml")
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "k3y",
    "FLEETGATE_MEMBERS": "a=a.kubeconfig",
    "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
    "KUBECONFIG": "/root/.kube/config",
    "LD_PRELOAD": "",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONSTARTUP": "/nowhere.py",
    "SSLKEYLOGFILE": "/tmp/keys",
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory in which every module that a process of ours imports is somebody else's."""
    directory = tmp_path / "hostile"
    directory.mkdir()
    for name in IMPORTED:
        (directory / f"{name}.py").write_text(POISON.format(file=str(tmp_path / "executed")))
    return directory


async def test_a_worker_runs_nothing_from_the_directory_that_the_gateway_was_started_in(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", str(hostile))
    argv = Settings(tmp_path / "state", 1).worker_argv
    plane = WorkerPool(tmp_path / "state", 1, argv, "off", 1.0)
    await plane.start()
    try:
        await until(lambda: bool(plane.publisher.workers()), 15, "a connected worker")
    finally:
        await plane.stop()
    assert not (tmp_path / "executed").exists()


async def test_a_worker_gets_no_secret_and_no_descriptor_that_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    foreign = os.open(tmp_path / "foreign", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(foreign, True)
    plane = WorkerPool(tmp_path / "state", 1, Settings(tmp_path / "state", 1).worker_argv, "off", 1.0)
    await plane.start()
    try:
        await until(lambda: bool(plane.publisher.workers()), 15, "a connected worker")
        process = Path(f"/proc/{plane.publisher.workers()[0].pid}")
        words = (process / "cmdline").read_bytes().split(b"\0")
        variables = dict(
            line.split(b"=", 1) for line in (process / "environ").read_bytes().split(b"\0") if line
        )
        files = {os.readlink(link.path) for link in os.scandir(process / "fd")}
    finally:
        await plane.stop()
        os.close(foreign)
    assert b"-P" in words[: words.index(b"-m")]
    assert not variables.keys() & {name.encode() for name in SECRETS}
    assert variables[b"LC_ALL"] == b"C.UTF-8"
    assert str(tmp_path / "foreign") not in files
    assert str(tmp_path / "state" / "lock") not in files


def test_no_list_of_directories_leads_a_child_to_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", ":/opt/lib::lib:.")
    monkeypatch.setenv("PATH", "/usr/bin:.:")
    assert children.environment()["LD_LIBRARY_PATH"] == "/opt/lib"
    assert children.environment()["PATH"] == "/usr/bin"


async def test_the_workers_say_whether_they_are_compiled(tmp_path: Path) -> None:
    plane = WorkerPool(tmp_path / "state", 1, Settings(tmp_path / "state", 1).worker_argv, "off", 1.0)
    await plane.start()
    try:
        await until(lambda: bool(plane.publisher.workers()), 15, "a connected worker")
        told = plane.publisher.workers()[0].dataplane
    finally:
        await plane.stop()
    assert told == "pure"  # the tests run the sources


@pytest.mark.parametrize(
    "command", [(str(FLEETGATE),), (sys.executable, "-m", "controlplane.cli.main")], ids=["script", "module"]
)
def test_the_command_runs_nothing_from_the_current_directory(
    command: tuple[str, ...], hostile: Path, tmp_path: Path
) -> None:
    (hostile / "controlplane.py").unlink()  # `-m controlplane` asks for the one that is found first
    done = subprocess.run(
        [*command, "--version"], cwd=hostile, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout.startswith("fleetgate 0."), done.stderr
    assert "(data plane: pure)" in done.stdout
    assert not (tmp_path / "executed").exists()


def test_every_child_is_given_its_environment_and_no_other_interpreter_options() -> None:
    """No place in the program may start a process in another way than `controlplane.system.children` says."""
    careless = []
    for package in ("proxy", "controlplane", "loadtest"):
        for path in (ROOT / package).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_text())):
                without = _starts_a_process(node) and not _is_a_tool(path) and "env" not in _words(node)
                own = isinstance(node, ast.Attribute) and node.attr == "executable"
                if without or (own and name not in KNOW_THE_INTERPRETER):
                    careless.append(f"{name}:{getattr(node, 'lineno', 0)}")
    assert careless == []


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml"])
def test_the_programs_of_health_checks_search_no_current_directory(name: str) -> None:
    checks = re.findall(r"python[\s\",-]+(?:P[\s\",-]+)?c\b", (ROOT / name).read_text())
    assert checks
    assert all("-P" in program for program in checks), checks


def _words(node: ast.AST) -> set[str | None]:
    return {word.arg for word in node.keywords} if isinstance(node, ast.Call) else set()


def _starts_a_process(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    owner = getattr(getattr(node.func, "value", None), "id", "")
    return name in ("create_subprocess_exec", "create_subprocess_shell", "Popen", "posix_spawn") or (
        owner == "subprocess" and name in ("run", "call", "check_call", "check_output")
    )


def _is_a_tool(path: Path) -> bool:
    """Say whether the children of this file are Debian's tools, that the load tests measure with."""
    return path.name in ("nginx.py", "haproxy.py", "envoy.py", "wrk.py", "h2load.py", "network.py")
