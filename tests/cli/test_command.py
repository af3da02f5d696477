"""The command line: instant help, and one line with cause and cure for everything that goes wrong."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import command

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t0ken}}]
"""


def fleetgate(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return command.fleetgate(*args, environment=env)


def test_help_imports_no_verb() -> None:
    code = (
        "import sys; from controlplane.cli.main import main; main(['--help'], standalone_mode=False);"
        "sys.exit(any(m.startswith(('uvicorn', 'aiohttp', 'controlplane.cli.run')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_version() -> None:
    assert fleetgate("--version").stdout.startswith("fleetgate 0.")


def test_an_unknown_verb_is_a_usage_error() -> None:
    assert fleetgate("rum").returncode == 2


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("--member", "nonsense"), "fleetgate: --member 'nonsense' is not ID=KUBECONFIG; write e.g."),
        (("--member", "a=x", "--member", "a=y"), "fleetgate: --member a is given twice;"),
        (("--admin", "9901"), "fleetgate: --admin '9901' is not HOST:PORT"),
        (("--fleet-kubeconfig", "missing"), "fleetgate: kubeconfig missing: no such file;"),
        (("--fleet-kubeconfig", "fleet", "--member", "a=missing"), "fleetgate: --member a: there is no file"),
        (("--fleet-kubeconfig", "bad"), "fleetgate: kubeconfig bad"),
    ],
)
def test_an_option_that_cannot_be_used_is_said_on_one_line(
    args: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet").write_text(KUBECONFIG)
    (tmp_path / "bad").write_text("{")
    done = fleetgate("run", *(() if "--admin" in args else ("--admin", "127.0.0.1:0")), *args)
    assert done.returncode == 2
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


def test_a_busy_admin_port_is_said_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "fleet").write_text(KUBECONFIG)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        done = fleetgate("run", FLEETGATE_FLEET_KUBECONFIG=str(tmp_path / "fleet"), FLEETGATE_ADMIN=address)
    assert done.returncode == 3
    assert done.stderr.startswith(f"fleetgate: admin address {address}: is in use;")
    assert done.stderr.count("\n") == 1


def test_a_demo_has_a_port_for_each_of_its_listeners() -> None:
    done = fleetgate("demo", "--port", "9000", "--mse-port", "9000")
    assert done.returncode == 2
    assert "--port 9000 is another listener's, too" in done.stderr


def test_a_state_directory_that_cannot_be_written_is_said_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "fleet").write_text(KUBECONFIG)
    (tmp_path / "file").write_text("")
    state = tmp_path / "file" / "state"
    done = fleetgate(
        "run",
        *("--fleet-kubeconfig", str(tmp_path / "fleet"), "--admin", "127.0.0.1:0", "--state-dir", str(state)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"fleetgate: state directory {state}:")
    assert done.stderr.count("\n") == 1


def test_an_unreachable_fleet_and_nothing_to_serve_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "fleet").write_text(KUBECONFIG)
    sooner = (
        "import controlplane.gateway.gateway as gateway; gateway.FIRST_CONTACT_S = 0.5;"
        "from controlplane.cli.main import main; main()"
    )
    argv = (
        sys.executable, "-c", sooner, "run", "--fleet-kubeconfig", str(tmp_path / "fleet"),
        "--state-dir", str(tmp_path / "state"), "--workers", "1", "--admin", "127.0.0.1:0",
        "--access-log", "off",
    )  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith("fleetgate: cannot reach API server http://127.0.0.1:1")
    assert "no earlier snapshot" in last
    assert "Traceback" not in done.stderr
