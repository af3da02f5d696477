"""docs/annotations.md from the table of annotations: `python -m controlplane.cli.annotations_doc`."""

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Final

from controlplane.cli.annotations import quoted
from controlplane.translate.annotations.registry import ROWS
from controlplane.translate.annotations.row import (
    ALB,
    KUBERNETES,
    MSE_GATEWAY,
    NGINX,
    OWN,
    VENDOR,
    Annotation,
    Support,
)

PATH: Final = Path(__file__).parents[2] / "docs" / "annotations.md"

_WIDTH: Final = 100
_HEAD: Final = """\
# Annotations

The effect of each annotation. `make docs` writes this page from the table that the translation
reads; `fleetgate annotations KEY` prints the same entry in a terminal.

| support | meaning |
|---|---|
| **works** | the annotation has the effect that its dialect describes |
| **approximated** | the effect is close enough to serve; a note names the difference |
| **no effect** | the annotation changes nothing, and the rules keep their effect without it |
| **refused** | the rules would have another effect without the annotation, so they are not used |

- An Event on the object reports every annotation that is approximated, without effect or refused.
- An annotation that protects, in a dialect that does not read it, is refused, too: the rules of its
  Ingress answer 503 ([findings.md](findings.md), FG0210).
- Where a name ends in `*`, the rest is the name of a cluster, Service, header or parameter. Of
  several spellings on one Ingress the gateway reads the first in the entry.
- An annotation of an Ingress holds for the rules of that Ingress, unless its entry says otherwise:
  also where it would hold for every rule with the same Service in MSE.
"""
_SECTIONS: Final = (
    ("Of this gateway", (OWN,)),
    ("Kubernetes", (KUBERNETES,)),
    ("ALB", (ALB,)),
    ("MSE and Higress", (MSE_GATEWAY, *VENDOR)),
    ("ingress-nginx", (NGINX,)),
)


def document() -> str:
    """Return the page."""
    parts = [_HEAD]
    shown: set[Annotation] = set()
    for title, prefixes in _SECTIONS:
        rows = [row for row in ROWS if row not in shown and any(p in prefixes for p in row.prefixes)]
        shown.update(rows)
        if rows:
            parts.append(_section(title, rows))
    return "\n".join(parts)


def _section(title: str, rows: Iterable[Annotation]) -> str:
    order = list(Support)
    entries = sorted(rows, key=lambda row: (order.index(row.support), row.name))
    return f"## {title}\n\n" + "\n".join(map(_entry, entries))


def _entry(row: Annotation) -> str:
    keys = " or ".join(f"`{key}`" for key in row.keys)
    values = _prose(row.allowed)
    if row.example and row.example not in row.allowed:
        values += f"; e.g. `{quoted(row.example)}`"
    facts = (("Note", _prose(row.note)), ("Values", values), ("Default", _prose(row.default)))
    items = [_filled(f"- **{name}:** {fact}", "  ") for name, fact in facts if fact]
    does = _filled(f"{keys} ({row.scope}, **{row.support}**) {_prose(row.summary)}.", "")
    return "\n".join((f"### {_prose(row.name)}", "", does, "", *items, ""))


def _filled(text: str, indent: str) -> str:
    return fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _prose(text: str) -> str:
    """Escape characters that Markdown takes for an element, emphasis or the beginning of code."""
    if text.count("`") % 2:
        text = text.replace("`", "\\`")
    return text.replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PATH.write_text(document())
