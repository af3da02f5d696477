"""What holds for all tests."""

import gc

from hypothesis import settings

# A case that takes long on a busy machine is no failure: pytest's timeout finds what never ends
settings.register_profile("fleetgate", deadline=None)
settings.load_profile("fleetgate")


def pytest_collection_finish() -> None:
    """Spare the collector thousands of tests: endpoints that live in this process would pause for 0.1 s."""
    gc.collect()
    gc.freeze()
