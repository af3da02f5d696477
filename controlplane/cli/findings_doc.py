"""docs/findings.md from the catalogue and the guide: `python -m controlplane.cli.findings_doc`."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Final

from controlplane.cli.findings import ENTRIES, Explained, explained

PATH: Final = Path(__file__).parents[2] / "docs" / "findings.md"

_WIDTH: Final = 100
_HEAD: Final = """\
# Findings

Every finding of the gateway and of `fleetgate validate`, by code. `make docs` writes this page from
the tables that make the findings; `fleetgate explain FG0307` prints one entry in a terminal.

An **error** is an unusable value, a **warning** a value that works differently from its text, an
**info** a fact worth knowing. Errors and warnings are Warning Events on the object.

Codes are stable. `<name>` stands for a value of the finding at hand.
"""
_CHAPTERS: Final = {
    "FG01": "Objects, files and classes",
    "FG02": "Annotations",
    "FG03": "The spec of an Ingress",
    "FG04": "Clusters",
    "FG05": "Listeners, and fields of gateways",
    "FG06": "Services, endpoints, server groups and health checks",
    "FG07": "Several Ingresses together",
    "FG08": "Workers",
    "FG09": "Registration of member clusters",
}


def document() -> str:
    """Return the page."""
    return _HEAD + "".join(_parts())


def _parts() -> Iterator[str]:
    chapter = ""
    for code in ENTRIES:
        if code[:4] != chapter:
            chapter = code[:4]
            yield f"\n## {_CHAPTERS[chapter]}\n"
        yield _entry(explained(code))


def _entry(found: Explained) -> str:
    facts = (
        ("Message", _prose(found.message)),
        ("Allowed", _prose(found.allowed)),
        ("Cause", _prose(found.page.cause)),
        ("Example", f"`{found.page.example}`"),
        ("Fix", _prose(found.page.fix)),
    )
    lines = [_item(name, fact) for name, fact in facts if fact]
    return f"\n### {found.code}: {found.level}, {found.reason}\n\n" + "\n".join(lines) + "\n"


def _item(name: str, text: str) -> str:
    return fill(
        f"- **{name}:** {text}",
        _WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _prose(text: str) -> str:
    """Outside of code Markdown takes <name> for an element, and * for emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PATH.write_text(document())
