"""docs/annotations.md from the table of annotations: `python -m controlplane.cli.annotations_doc`."""

from collections.abc import Iterable
from pathlib import Path
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

_HEAD: Final = """\
# Annotations

What each annotation does here. `make docs` writes this page from the table that the translation reads;
`fleetgate annotations KEY` prints the same in a terminal.

Support is one of: **works**; **approximated**, near enough to serve, with what differs beside it;
**no effect**, nothing happens and the rules still do what they say; **refused**, without it the rules
would do something else, so they are not used. All but the first are told about in an Event on the object.
An annotation that protects, in a dialect that does not read it, is refused, too: the rules of its Ingress
answer 503 ([findings.md](findings.md), FG0210).
Where a name ends in `*`, the rest is the name of a cluster, Service, header or parameter. Of several
spellings the first that an Ingress has is read. An annotation of an Ingress holds for the rules of that
Ingress, unless it says otherwise: also where MSE would let it hold for every rule with the same Service.
"""
_TABLE: Final = (
    "| annotation | on | support | what it does | values | default |",
    "|---|---|---|---|---|---|",
)
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
    lines = [f"## {title}", "", *_TABLE]
    lines += [_line(row) for row in sorted(rows, key=lambda row: (order.index(row.support), row.name))]
    return "\n".join(lines) + "\n"


def _line(row: Annotation) -> str:
    keys = "<br>".join(f"`{key}`" for key in row.keys)
    support = f"**{row.support}**" + (f": {_prose(row.note)}" if row.note else "")
    values = _prose(row.allowed)
    if row.example and row.example not in row.allowed:
        values += f"; e.g. `{_cell(quoted(row.example))}`"
    cells = (keys, row.scope, support, _prose(row.summary), values, _prose(row.default))
    return f"| {' | '.join(cells)} |"


def _prose(text: str) -> str:
    """Outside of code Markdown takes <name> for an element."""
    return _cell(text).replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PATH.write_text(document())
