"""The runs over time, as SVG: a panel for each drill and proxy, latency upwards, failures at its foot.

Time is counted from the hit, or from the return.
"""

from collections.abc import Sequence
from html import escape
from math import ceil, log10

from loadtest.compare.chart import COLOURS
from loadtest.drills.measure import Bin
from loadtest.drills.run import Cell

PANEL_W, PANEL_H, GAP_X, GAP_Y, LEFT, TOP = 230, 70, 14, 16, 120, 74
FOOT = 24
TICK_S = 5
LOWEST_MS, HIGHEST_MS = 1.0, 5000.0
MARKS_MS = (10, 100, 1000)
FAILED = "#c62828"
FAULT = "#f3e9da"


def svg(cells: Sequence[Cell], subtitle: str) -> str:
    """Return a grid: drills downwards, proxies across."""
    drills = list(dict.fromkeys(cell.drill for cell in cells))
    peers = list(dict.fromkeys(cell.peer for cell in cells))
    width = LEFT + len(peers) * (PANEL_W + GAP_X)
    height = TOP + len(drills) * (PANEL_H + GAP_Y) + FOOT
    parts = [
        _text(LEFT + number * (PANEL_W + GAP_X), TOP - 10, peer, size=12) for number, peer in enumerate(peers)
    ]
    for number, drill in enumerate(drills):
        y = TOP + number * (PANEL_H + GAP_Y)
        parts.append(_text(6, y + PANEL_H / 2 + 4, drill))
        parts += [
            _text(LEFT - 4, _level(y, mark) + 3, f"{mark} ms", size=8, fill="#777", anchor="end")
            for mark in MARKS_MS
        ]
    for cell in cells:
        x = LEFT + peers.index(cell.peer) * (PANEL_W + GAP_X)
        y = TOP + drills.index(cell.drill) * (PANEL_H + GAP_Y)
        parts += _panel(x, y, cell, COLOURS[peers.index(cell.peer) % len(COLOURS)])
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            _text(
                12, 20, "Latency while a cluster fails: median and slowest of each tenth of a second", size=14
            ),
            _text(12, 36, subtitle, fill="#555"),
            _text(
                12,
                50,
                "shaded: the fault (in return: its end); red: requests that failed, full height is all",
                fill="#555",
            ),
            *parts,
            "</svg>\n",
        )
    )


def _panel(x: float, y: float, cell: Cell, colour: str) -> list[str]:
    bins = cell.result.timeline
    first, last = bins[0].at, bins[-1].at
    per_s = PANEL_W / (last - first)

    def at(seconds: float) -> float:
        return x + (seconds - first) * per_s

    parts = [f'<rect x="{x}" y="{y}" width="{PANEL_W}" height="{PANEL_H}" fill="#fafafa" stroke="#ccc"/>']
    for since, until in cell.result.faults:
        left, right = at(max(since, first)), at(min(until, last))
        parts.append(
            f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{PANEL_H}" fill="{FAULT}"/>'
        )
    for mark in MARKS_MS:
        level = _level(y, mark)
        parts.append(f'<line x1="{x}" x2="{x + PANEL_W}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
    for tick in range(ceil(first / TICK_S) * TICK_S, int(last) + 1, TICK_S):
        foot = y + PANEL_H
        parts.append(
            f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{foot}" y2="{foot + 3}" stroke="#999"/>'
        )
        parts.append(_text(round(at(tick), 1), foot + 11, f"{tick} s", size=8, fill="#777", anchor="middle"))
    parts += [_failed(at(each.at), y, each, max(1.0, per_s / 10)) for each in bins if each.failed]
    parts.append(_path([(at(each.at), _level(y, each.worst_ms)) for each in bins], colour, 1.0))
    parts.append(_path([(at(each.at), _level(y, each.p50_ms)) for each in bins], "#999", 0.7))
    return parts


def _level(y: float, latency_ms: float) -> float:
    span = log10(HIGHEST_MS / LOWEST_MS)
    share = log10(min(max(latency_ms, LOWEST_MS), HIGHEST_MS) / LOWEST_MS) / span
    return y + PANEL_H * (1 - share)


def _failed(x: float, y: float, of: Bin, width: float) -> str:
    height = max(2.0, PANEL_H * of.failed / max(1, of.due))
    return (
        f'<rect x="{x:.1f}" y="{y + PANEL_H - height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' fill="{FAILED}"/>'
    )


def _path(points: list[tuple[float, float]], colour: str, width: float) -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(
    x: float, y: float, text: str, *, size: int = 11, fill: str = "black", anchor: str = "start"
) -> str:
    where = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text {where} font-size="{size}" fill="{fill}">{escape(text)}</text>'
