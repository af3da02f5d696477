"""What fails while this process was kept waiting is tried again; what fails otherwise is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pauses import LONG_S, Heartbeat, stand_still

ROOT = Path(__file__).parents[1]
TESTS = """
from tests.support.pauses import stand_still

tries = []

def test_that_fails_at_first():
    tries.append(1)
    {act}
    assert len(tries) > {failures}
"""


def test_a_process_that_was_not_run_has_paused() -> None:
    heart = Heartbeat()
    heart.start()
    stand_still(4 * LONG_S)
    assert heart.has_paused()
    heart.longest_s = LONG_S - 0.001
    assert not heart.has_paused()
    heart.longest_s = 1.0
    heart.forget()
    assert not heart.has_paused()


@pytest.mark.parametrize(
    ("act", "failures", "summary"),
    [
        ("stand_still(0.2)", 2, "1 passed, 2 rerun in"),
        ("stand_still(0.2)", 3, "1 failed, 2 rerun in"),
        ("tries[0]", 1, "1 failed in"),
        ("stand_still(0.2)", 0, "1 passed in"),
    ],
    ids=["passes later", "never passes", "no pause", "no failure"],
)
def test_a_failure_is_repeated_where_the_machine_paused(
    tmp_path: Path, act: str, failures: int, summary: str
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(TESTS.format(act=act, failures=failures))
    options = [
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "-o",
        "addopts=",
    ]
    command = [sys.executable, "-m", "pytest", *options, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert summary in done.stdout, done.stdout + done.stderr
