"""A chart of the results, as SVG: a group of bars for each row, the peer of reference at 1."""

from html import escape

from loadtest.compare.results import Outcome

COLOURS = ("#1b6ca8", "#7fb2d9", "#4c9a52", "#d9862b", "#a34a8f", "#777777")
BAR, GAP, LEFT, SCALE, TOP = 11, 9, 120, 330.0, 58
RIGHT = 130
MOST = 1.6
"""Longest bar; longer ones are cut and say their ratio."""


def svg(outcome: Outcome, subtitle: str) -> str:
    """Return requests/s of each peer over those of the reference, the first peer that is not ours."""
    reference = next(iter(outcome.others()), outcome.peers[0])
    parts: list[str] = []
    y = TOP
    for row in outcome.rows:
        base = outcome.median(row, reference, "requests_per_s")
        height = len(outcome.peers) * BAR
        parts.append(_text(LEFT - 8, y + height / 2 + 4, row, anchor="end"))
        for number, peer in enumerate(outcome.peers):
            value = outcome.median(row, peer, "requests_per_s")
            if value is not None and base:
                parts += _bar(y + number * BAR, value, value / base, COLOURS[number % len(COLOURS)])
        y += height + GAP
    width = LEFT + int(SCALE * MOST) + RIGHT
    one = LEFT + SCALE
    line = f'<line x1="{one}" x2="{one}" y1="{TOP - 4}" y2="{y}" stroke="#333" stroke-dasharray="3 3"/>'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 10}" '
            f'viewBox="0 0 {width} {y + 10}" font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            _text(12, 20, f"Requests per second, {reference} = 1", size=14),
            _text(12, 36, subtitle, fill="#555"),
            *_legend(outcome.peers),
            *parts,
            line,
            "</svg>\n",
        )
    )


def _bar(y: float, value: float, ratio: float, colour: str) -> list[str]:
    length = SCALE * min(ratio, MOST)
    label = f"{value:,.0f}  ({ratio:.2f})"
    return [
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 1}" fill="{colour}"/>',
        _text(LEFT + length + 4, y + BAR - 2, label, size=9, fill="#333"),
    ]


def _legend(peers: tuple[str, ...]) -> list[str]:
    parts = []
    for number, peer in enumerate(peers):
        x = LEFT + number * 110
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="42" width="9" height="9" fill="{colour}"/>')
        parts.append(_text(x + 13, 51, peer))
    return parts


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, fill: str = "black"
) -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{fill}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'
