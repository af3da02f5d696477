"""The catalogue of findings is complete, used, and renders."""

import re
from pathlib import Path
from string import Formatter

import pytest

import controlplane.translate
from controlplane.translate.catalogue import CATALOGUE, Entry
from controlplane.translate.diagnostics import Findings, Subject, shorten

SOURCES = [  # but for the tables of codes themselves
    path
    for path in sorted(Path(controlplane.translate.__file__).parent.rglob("*.py"))
    if path.name != "catalogue.py" and path.parent.name != "guide"
]
_CODE = re.compile(r'"(FG\d{4})"')


def test_every_code_is_used_and_every_used_code_exists() -> None:
    used = {code for path in SOURCES for code in _CODE.findall(path.read_text())}
    assert used == set(CATALOGUE)


@pytest.mark.parametrize("code", CATALOGUE)
def test_entries_are_one_line_with_an_event_reason(code: str) -> None:
    entry = CATALOGUE[code]
    assert re.fullmatch(r"[A-Z][A-Za-z]+", entry.reason)
    assert entry.message
    for template in (entry.message, entry.allowed, entry.fix):
        assert "\n" not in template
        assert not template.endswith(".")


def _names(entry: Entry) -> set[str]:
    templates = (entry.message, entry.allowed, entry.fix)
    return {name for template in templates for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize("code", CATALOGUE)
def test_values_of_users_are_never_templates(code: str) -> None:
    findings = Findings(Subject("Ingress", "demo", "web", "uid-1", 3))
    findings.add(code, "{field}", "{0.__class__}", **dict.fromkeys(_names(CATALOGUE[code]), "{x}\n{y}"))
    (diagnostic,) = findings.items
    assert diagnostic.value == "{0.__class__}"
    assert str(diagnostic).startswith(f"Ingress demo/web: {code} {{field}}: ")
    assert str(diagnostic).isprintable()


@pytest.mark.parametrize(
    ("value", "line"),
    [("a", "a"), (" a\n b\t", "a b"), ("a\x00b", "a\ufffdb"), ("x" * 200, "x" * 119 + "…"), (80, "80")],
)
def test_values_are_shown_as_one_short_line(value: object, line: str) -> None:
    assert shorten(value) == line
