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


def pytest_collection_finish() -> None:
    """Spare the collector thousands of tests: endpoints that live in this process would pause for 0.1 s."""
    gc.collect()
    gc.freeze()


def pytest_sessionstart() -> None:
    heartbeat.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Repeat a test that failed while the machine kept this process waiting, and say so; no other one."""
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=2, condition=heartbeat.has_paused))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    heartbeat.forget()
