"""Every file in cases/: objects in, then (second YAML document) snapshot, diagnostics and statuses out.

The second documents are rewritten, to be reviewed as a diff, by
`FLEETGATE_REGENERATE=1 python -m pytest tests/translate/test_golden_cases.py`.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.model.codec import decode_snapshot, encode_snapshot
from tests.support.tables import table_of
from tests.support.translation import run_case, shown

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
WIDTH = 100
SEPARATOR = "\n--- # expected\n"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _expected_text(expected: dict[str, Any]) -> str:
    return yaml.dump(
        expected, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_translates_as_recorded(path: Path) -> None:
    text, _, recorded = path.read_text().partition(SEPARATOR)
    translation = run_case(yaml.safe_load(text))
    result = shown(translation)
    if os.environ.get("FLEETGATE_REGENERATE"):
        path.write_text(text.rstrip("\n") + "\n" + SEPARATOR.lstrip("\n") + _expected_text(result))
        return
    assert result == yaml.safe_load(recorded)
    table_of(translation.snapshot.routes)  # a worker can use it
    assert len({route.id for route in translation.snapshot.routes}) == len(translation.snapshot.routes)
    assert decode_snapshot(encode_snapshot(translation.snapshot)) == translation.snapshot


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_input_of_a_case_is_block_yaml(path: Path) -> None:
    """Only small collections stand on one line: a reviewer reads a long one in blocks, field by field."""
    text = path.read_text().partition(SEPARATOR)[0]
    lines = text.splitlines()
    events: list[Any] = [event for event in yaml.parse(text) if getattr(event, "flow_style", None)]
    starts = [event.start_mark.line for event in events]
    assert [line + 1 for line in starts if len(lines[line]) > WIDTH] == []
