"""Limits from the command line, and the table of them in the documentation."""

import re
from pathlib import Path

import pytest

from proxy.model.limits import LimitError, Limits, described, parse_limits
from tests.cli.test_command import fleetgate

TEXT = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()


def test_the_documentation_has_every_limit_with_its_default_and_range() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
    assert rows == [row[:3] for row in described()]


def test_the_documentation_says_what_every_limit_means() -> None:
    items = re.findall(r"^- `([a-z0-9-]+)`: (.+(?:\n  .+)*)$", TEXT, re.MULTILINE)
    assert [(name, " ".join(text.split())) for name, text in items] == [
        (row[0], row[3]) for row in described()
    ]


def test_limits_are_the_defaults_but_for_what_is_set() -> None:
    changed = parse_limits({"max-connections": "7", "head-timeout": "2.5"})
    assert changed == Limits(max_connections=7, head_timeout_s=2.5)


@pytest.mark.parametrize("default", [row[:2] for row in described()], ids=lambda row: row[0])
def test_every_default_is_in_its_range(default: tuple[str, str]) -> None:
    assert parse_limits(dict([default])) == Limits()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "", "1000001", "nan"])
def test_a_value_out_of_range_is_refused_with_the_range(value: str) -> None:
    with pytest.raises(LimitError, match=f"max-connections={value} is not a whole number from 1 to 1000000"):
        parse_limits({"max-connections": value})


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (
            ("--trusted-proxy", "10.0.0.1/8"),
            "--trusted-proxy '10.0.0.1/8' is no network: 10.0.0.1/8 has",
        ),
        (("--listen", "localhost"), "--listen 'localhost' is no IP address; write e.g. 127.0.0.1"),
        (("--limit", "head-timeout"), "fleetgate: --limit 'head-timeout' is not NAME=VALUE;"),
        (("--limit", "header=1"), "fleetgate: --limit 'header' is not a limit; there are max-connections,"),
        (("--limit", "head-timeout=0"), "fleetgate: --limit head-timeout=0 is not a number above 0 to 3600"),
        (("--limit", "head-timeout=1", "--limit", "head-timeout=2"), "--limit head-timeout is given twice;"),
    ],
)
def test_mistakes_are_one_line(args: tuple[str, ...], expected: str) -> None:
    done = fleetgate("run", *args)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
