"""The runs over time, as SVG: a panel for each drill and proxy, latency upwards, failures at its foot."""

from collections.abc import Sequence
from html import escape
from math import log10

from loadtest.compare.chart import COLOURS
from loadtest.drills.measure import Bin
from loadtest.drills.run import Cell

PANEL_W, PANEL_H, GAP_X, GAP_Y, LEFT, TOP = 230, 70, 14, 16, 92, 74
LOWEST_MS, HIGHEST_MS = 1.0, 5000.0
MARKS_MS = (10, 100, 1000)
FAILED = "#c62828"
FAULT = "#f3e9da"


def svg(cells: Sequence[Cell], fault_s: float, subtitle: str) -> str:
    """Return a grid: drills downwards, proxies across. `fault_s`: how long each fault lasts."""
    drills = list(dict.fromkeys(cell.drill for cell in cells))
    peers = list(dict.fromkeys(cell.peer for cell in cells))
    width = LEFT + len(peers) * (PANEL_W + GAP_X)
    height = TOP + len(drills) * (PANEL_H + GAP_Y) + 10
    parts = [
        _text(LEFT + number * (PANEL_W + GAP_X), TOP - 10, peer, size=12) for number, peer in enumerate(peers)
    ]
    parts += [
        _text(6, TOP + number * (PANEL_H + GAP_Y) + PANEL_H / 2, drill) for number, drill in enumerate(drills)
    ]
    for cell in cells:
        x = LEFT + peers.index(cell.peer) * (PANEL_W + GAP_X)
        y = TOP + drills.index(cell.drill) * (PANEL_H + GAP_Y)
        parts += _panel(x, y, cell, fault_s, COLOURS[peers.index(cell.peer) % len(COLOURS)])
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            _text(
                12, 20, "Latency while a cluster fails: median and slowest of each tenth of a second", size=14
            ),
            _text(12, 36, subtitle, fill="#555"),
            _text(12, 50, "shaded: the fault; red: requests that failed, full height is all", fill="#555"),
            *parts,
            "</svg>\n",
        )
    )


def _panel(x: float, y: float, cell: Cell, fault_s: float, colour: str) -> list[str]:
    bins = cell.result.timeline
    first, last = bins[0].at, bins[-1].at
    per_s = PANEL_W / (last - first)

    def at(seconds: float) -> float:
        return x + (seconds - first) * per_s

    parts = [
        f'<rect x="{x}" y="{y}" width="{PANEL_W}" height="{PANEL_H}" fill="#fafafa" stroke="#ccc"/>',
        f'<rect x="{at(0):.1f}" y="{y}" width="{min(fault_s, last) * per_s:.1f}" height="{PANEL_H}"'
        f' fill="{FAULT}"/>',
    ]
    for mark in MARKS_MS:
        level = _level(y, mark)
        parts.append(f'<line x1="{x}" x2="{x + PANEL_W}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(_text(x + 2, level - 1, f"{mark} ms", size=7, fill="#999"))
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


def _text(x: float, y: float, text: str, *, size: int = 11, fill: str = "black") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{fill}">{escape(text)}</text>'
