"""What holds for all tests."""

import contextlib
import gc
import importlib
import os
import re
import signal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from tests.support.pauses import Heartbeat
from tests.support.worker import WORKER_PYTHON, has_worker

# A case that takes long on a busy machine is no failure: pytest's timeout finds what never ends
# How fast examples are made depends on the machine, not on what they are about
settings.register_profile("fleetgate", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("fleetgate")

# Shells that run tests in the background, and nohup, ignore these signals; programs under test inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).parents[1]
_GROUP = re.compile(r'^pytestmark = pytest\.mark\.xdist_group\("(\w+)"\)$', re.MULTILINE)
heartbeat = Heartbeat()

BACKGROUND = "gw0"
"""The process that runs PATIENT tests, at a lower priority, in the time that the others wait."""

PATIENT = frozenset((
    "deploy", "docs", "files", "http", "http2", "migration", "observe", "policies", "resources", "routing",
    "tls", "translate", "validation",
))  # fmt: skip
"""Packages whose tests compute only: no clock, peer or deadline is about them."""

_LEAST_FOR_BACKGROUND = 3  # processes

# No test needs the authorities of the machine, which every process would load: 50 ms for each TLS context
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("support") / "authority.pem")

_LONGEST = (
    "e2e", "translate", "supervisor", "gateway", "loadtest", "dataplane", "process", "controller", "sources",
)  # fmt: skip


def _turn(item: pytest.Item) -> int:
    room = item.path.parent.name
    return _LONGEST.index(room) if room in _LONGEST else len(_LONGEST)


class FilesAndGroups(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a process whole files, and files that name the same xdist_group to the same process.

    Their text is asked: processes tell the one that schedules nothing but the names of tests. Patient tests
    go to the background process, and to the others when these have nothing else left.
    """

    def _assign_work_unit(self, node: Any) -> None:
        has_background = len(self.nodes) >= _LEAST_FOR_BACKGROUND
        patient = [scope for scope in self.workqueue if _is_patient(scope)]
        if has_background and node.gateway.id == BACKGROUND:
            chosen = patient
        else:
            chosen = [scope for scope in self.workqueue if scope not in patient] or patient[::-1]
        if not chosen:
            node.shutdown()
            return
        self.workqueue.move_to_end(chosen[0], last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        path: str = super()._split_scope(nodeid)
        return _group(ROOT / path) or path


@cache
def _is_patient(scope: str) -> bool:
    return scope.removeprefix("tests/").partition("/")[0] in PATIENT


@cache
def _group(path: Path) -> str:
    found = _GROUP.search(path.read_text()) if path.is_file() else None
    return found.group(1) if found is not None else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return FilesAndGroups(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import a share of the files before the rest: in a fresh clone, rewriting their assertions takes long.

    Each process imports all of them. All would rewrite all, in the same order, at the same time.
    """
    told = getattr(session.config, "workerinput", None)
    if told is None:
        return
    share, shares = int(told["workerid"].removeprefix("gw")), told["workercount"]
    places = [session.config.invocation_params.dir / word for word in session.config.args]
    files = sorted(path for place in places if place.is_dir() for path in place.rglob("test_*.py"))
    for path in files[share::shares]:
        name = ".".join(path.resolve().relative_to(ROOT).with_suffix("").parts)
        with contextlib.suppress(Exception, pytest.skip.Exception):  # pytest reports it when it collects
            importlib.import_module(name)


def pytest_collection_finish() -> None:
    """Spare the collector thousands of tests: endpoints that live in this process would pause for 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionstart(session: pytest.Session) -> None:
    worker = getattr(session.config, "workerinput", None)
    if (
        worker is not None
        and worker["workerid"] == BACKGROUND
        and worker["workercount"] >= _LEAST_FOR_BACKGROUND
    ):
        os.nice(10)
    gc.disable()  # thousands of tests are made, and none is garbage
    heartbeat.start()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or one process would be busy with it when the others are done.

    Leave out what cannot tell another worker from that of the sources, because it starts none.

    Repeat a test that failed while the machine kept this process waiting, and say so; no other one.
    """
    if WORKER_PYTHON:
        config.hook.pytest_deselected(items=[item for item in items if not has_worker(item)])
        items[:] = filter(has_worker, items)
    items.sort(key=_turn)
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=2, condition=heartbeat.has_paused))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    heartbeat.forget()
