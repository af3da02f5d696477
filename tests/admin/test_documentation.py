"""docs/admin-api.md names every path and every metric there is, and no other."""

import re
from pathlib import Path

from controlplane.admin.app import build_app
from controlplane.admin.metrics import Metrics
from tests.admin.test_api import Fixed
from tests.support.states import serving

TEXT = (Path(__file__).parents[2] / "docs" / "admin-api.md").read_text()


def test_every_path_is_documented() -> None:
    paths = {route.path for route in build_app(Fixed(serving()), ()).routes}  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `(/[\w/]+)`", TEXT, re.MULTILINE)) == paths


def test_every_metric_is_documented() -> None:
    families = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics(serving()).collect()
    }
    assert set(re.findall(r"`(fleetgate_\w+)`", TEXT)) == families
