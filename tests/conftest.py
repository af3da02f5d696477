"""What holds for all tests."""

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests.support.pauses import Heartbeat

# A case that takes long on a busy machine is no failure: pytest's timeout finds what never ends
# How fast examples are made depends on the machine, not on what they are about
settings.register_profile("fleetgate", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("fleetgate")

heartbeat = Heartbeat()


_LONGEST = (
    "e2e", "translate", "supervisor", "gateway", "loadtest", "dataplane", "process", "controller", "sources",
)  # fmt: skip


def _turn(item: pytest.Item) -> int:
    room = item.path.parent.name
    return _LONGEST.index(room) if room in _LONGEST else len(_LONGEST)


def pytest_collection_finish() -> None:
    """Spare the collector thousands of tests: endpoints that live in this process would pause for 0.1 s."""
    gc.collect()
    gc.freeze()


def pytest_sessionstart() -> None:
    heartbeat.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or one process would be busy with it when the others are done.

    Repeat a test that failed while the machine kept this process waiting, and say so; no other one.
    """
    items.sort(key=_turn)
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=2, condition=heartbeat.has_paused))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    heartbeat.forget()
