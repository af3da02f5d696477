"""What the comparison needs of a machine."""

import os
import shutil

import pytest

from loadtest.kit import nginx
from loadtest.kit.programs import Missing


@pytest.fixture
def cores() -> tuple[int, int]:
    """Return two cores; skip without them, wrk or nginx."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        pytest.skip("one core")
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    try:
        nginx.find()
    except Missing as reason:
        pytest.skip(str(reason))
    return usable[0], usable[1]
