"""docs/admin-api.md names every path and metric, docs/behaviour.md every flag and reason, and no others."""

import re
from pathlib import Path

from controlplane.admin.app import build_app
from controlplane.admin.metrics import Metrics
from proxy.model.flags import FLAGS
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.retries.rules import Suppressed
from tests.admin.test_api import Fixed
from tests.support.admintoken import local
from tests.support.states import serving

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "admin-api.md").read_text()


def test_every_path_is_documented() -> None:
    paths = {route.path for route in build_app(Fixed(serving()), (), local()).routes}  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `(/[\w/]+)`", TEXT, re.MULTILINE)) == paths


def test_every_metric_is_documented() -> None:
    families = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics(serving()).collect()
    }
    assert set(re.findall(r"`(fleetgate_\w+)`", TEXT)) == families


def test_every_flag_and_every_reason_is_documented() -> None:
    _, _, log = (DOCS / "behaviour.md").read_text().partition("### Flags")
    flags, _, reasons = log.partition("Reasons of failed attempts")
    reasons, _, causes = reasons.partition("Causes of suppressed attempts")
    assert dict(re.findall(r"^\| `(.+)` \| (.+) \|$", flags, re.MULTILINE)) == FLAGS
    assert re.findall(r"^\| `(.+)` \|", reasons, re.MULTILINE) == [failure.value for failure in Failure]
    assert re.findall(r"^\| `(.+)` \|", causes, re.MULTILINE) == [cause.value for cause in Suppressed]
