"""Log lines of the control plane are one line of key=value each."""

import logging
from typing import Any

import pytest

from controlplane.gateway.logs import KeyValueFormatter


def line(text: str, **extra: Any) -> str:
    record = logging.LogRecord("gateway", logging.WARNING, "", 0, text, (), None)
    record.__dict__.update(extra)
    return KeyValueFormatter().format(record).partition(" ")[2]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, 'level=warning msg="worker ended"'),
        ({"worker": 0, "pid": 47}, 'level=warning msg="worker ended" worker=0 pid=47'),
        ({"cause": 'a "b"\nc'}, 'level=warning msg="worker ended" cause="a \\"b\\"\\nc"'),
        ({"cause": ""}, 'level=warning msg="worker ended" cause=""'),
    ],
)
def test_values_follow_the_text_and_never_break_the_line(extra: dict[str, Any], expected: str) -> None:
    assert line("worker ended", **extra) == expected
