"""Pages are easy to read: short lines, short paragraphs in the two long pages, links that lead somewhere."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
WIDTH = 100
MOST_WORDS = 80
MEASURED = ("failover.md", "performance.md")
"""Pages with tables of measurements, whose rows have more columns than fit; Markdown cannot break a row."""

_ITEM = re.compile(r"\s*([-*]|\d+\.)\s")
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def test_there_are_pages() -> None:
    assert len(PAGES) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_is_longer_than_100_characters(page: Path) -> None:
    lines = enumerate(page.read_text().splitlines(), 1)
    assert [f"{number}: {line}" for number, line in lines if len(line) > WIDTH and breaks(page, line)] == []


def breaks(page: Path, line: str) -> bool:
    """Whether a long line could be shorter: it is no row of measurements, and no single long word."""
    return not (page.name in MEASURED and line.startswith("|")) and len(line.split()) > 1


@pytest.mark.parametrize("page", ["behaviour.md", "architecture.md"])
def test_no_paragraph_is_longer_than_80_words(page: str) -> None:
    found = paragraphs((ROOT / "docs" / page).read_text())
    assert [text for text in found if len(text.split()) > MOST_WORDS] == []


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs and list items of a page, without code, tables and headings."""
    lines: list[str] = []
    for line in [*re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines(), ""]:
        if not line.strip() or line.startswith(("|", "#")) or _ITEM.match(line):
            yield " ".join(lines)
            lines = [line] if _ITEM.match(line) else []
        else:
            lines.append(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    links = [link for link in _LINK.findall(text) if "://" not in link]
    assert [link for link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    there = (page.parent / path).resolve() if path else page
    return there.exists() and (not anchor or anchor in anchors(there))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    times: Counter[str] = Counter()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{name}-{times[name]}" if times[name] else name)
        times[name] += 1
    return found
