"""The results as lines while they come, as Markdown, and as JSON."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from loadtest.compare.results import BUSY, METRICS, Measurement, Outcome
from loadtest.compare.rows import MEANING

NO_FIGURE = "–"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of figures, without which they are worth nothing."""

    versions: dict[str, str]
    rounds: int
    seconds: int
    remarks: tuple[str, ...]  # peers that are missing, and differences of the others
    date: str = ""


def machine() -> str:
    return f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}"


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def line(m: Measurement) -> str:
    text = (
        f"{m.row:<16} {m.round + 1:>2} {m.peer:<13} {m.requests_per_s:>9,.0f} req/s"
        f" {m.cpu_us_per_request:>8.1f} µs CPU/req  core {m.core_share:>4.0%}"
        f"  p50 {m.p50_ms:>7.2f} ms  p99 {m.p99_ms:>7.2f} ms  {m.errors} errors  {m.rss_bytes / 1e6:>5.0f} MB"
    )
    if m.idle_bytes is not None:
        text += f"  {m.idle_bytes / 1e3:.1f} KB/idle connection, {m.idle_closed} closed"
    return text


def row_summary(outcome: Outcome, row: str) -> str:
    """Return the ratios of a row that is complete."""
    lines = []
    for ours in outcome.ours:
        for peer in outcome.others():
            speed, cpu, p99 = (
                outcome.ratio(row, ours, peer, metric)
                for metric in ("requests_per_s", "cpu_us_per_request", "p99_ms")
            )
            if speed is not None and cpu is not None and p99 is not None:
                lines.append(
                    f"  {ours}/{peer}: {speed:.2f} of the requests/s, {cpu:.2f} × CPU, {p99:.2f} × p99"
                )
    limited = [peer for peer in outcome.peers if outcome.is_limited_elsewhere(row, peer)]
    if limited:
        lines.append(
            f"  caution: less than {BUSY:.0%} of the core used by {', '.join(limited)}: not the limit"
        )
    return "\n".join(lines)


def markdown(outcome: Outcome, about: Circumstances) -> str:
    parts = [
        f"{about.date}, {machine()}; medians of {about.rounds} interleaved rounds of {about.seconds} s.",
        _list(f"{name} {version}" for name, version in about.versions.items()),
        "Requests per second; `*`: the proxy used less than "
        f"{BUSY:.0%} of its core, so its speed was not the limit of the row.",
        _metric_table(outcome, ("requests_per_s",), "{:,.0f}", mark=True),
        "Requests per second of fleetgate over those of a peer, median of the ratios of neighbouring rounds:",
        _ratio_table(outcome, "requests_per_s"),
        "CPU time of the proxy per request, µs:",
        _metric_table(outcome, ("cpu_us_per_request",), "{:.1f}"),
        "CPU time of fleetgate over that of a peer; where the load was the limit (`*`) this is what counts:",
        _ratio_table(outcome, "cpu_us_per_request"),
        "Latency p50 / p99, ms:",
        _metric_table(outcome, ("p50_ms", "p99_ms"), "{:.2f}"),
        "p99 of fleetgate over that of a peer:",
        _ratio_table(outcome, "p99_ms"),
        "Memory of the process after the row, MB:",
        _memory_table(outcome),
        _idle(outcome),
        _list(f"*{name}*: {text}" for name, text in MEANING.items()),
        _list(about.remarks),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_json(path: Path, outcome: Outcome, about: Circumstances) -> None:
    """Write all measurements, the medians, and the ratios of every build to every peer."""
    document = {
        "date": about.date,
        "machine": machine(),
        "versions": about.versions,
        "rounds": about.rounds,
        "seconds": about.seconds,
        "remarks": about.remarks,
        "medians": {
            row: {
                peer: {metric: outcome.median(row, peer, metric) for metric in METRICS}
                | {"idle_bytes": outcome.idle_bytes(row, peer)}
                for peer in outcome.peers
            }
            for row in outcome.rows
        },
        "ratios": {
            row: {
                f"{ours}/{peer}": {metric: outcome.ratio(row, ours, peer, metric) for metric in METRICS}
                for ours in outcome.ours
                for peer in outcome.others()
            }
            for row in outcome.rows
        },
        "measurements": [asdict(m) for m in outcome.measurements],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; all but the first column to the right."""
    heads = list(head)
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _metric_table(outcome: Outcome, metrics: tuple[str, ...], form: str, *, mark: bool = False) -> str:
    def cell(row: str, peer: str) -> str:
        values = [outcome.median(row, peer, metric) for metric in metrics]
        text = " / ".join(NO_FIGURE if value is None else form.format(value) for value in values)
        return text + (" *" if mark and outcome.is_limited_elsewhere(row, peer) else "")

    return table(
        ("row", *outcome.peers), ((row, *(cell(row, p) for p in outcome.peers)) for row in outcome.rows)
    )


def _ratio_table(outcome: Outcome, metric: str) -> str:
    pairs = [(ours, peer) for ours in outcome.ours for peer in outcome.others()]
    if not pairs:
        return ""

    def cell(row: str, ours: str, peer: str) -> str:
        ratio = outcome.ratio(row, ours, peer, metric)
        return NO_FIGURE if ratio is None else f"{ratio:.2f}"

    return table(
        ("row", *(f"{ours} / {peer}" for ours, peer in pairs)),
        ((row, *(cell(row, *pair) for pair in pairs)) for row in outcome.rows),
    )


def _memory_table(outcome: Outcome) -> str:
    def cell(row: str, peer: str) -> str:
        value = outcome.median(row, peer, "rss_bytes")
        return NO_FIGURE if value is None else f"{value / 1e6:.0f}"

    return table(
        ("row", *outcome.peers), ((row, *(cell(row, p) for p in outcome.peers)) for row in outcome.rows)
    )


def _idle(outcome: Outcome) -> str:
    figures = [
        f"{peer} {value / 1e3:.1f} KB"
        for row in outcome.rows
        for peer in outcome.peers
        if (value := outcome.idle_bytes(row, peer)) is not None
    ]
    return (
        f"Memory of the proxy per idle connection (without the kernel's): {', '.join(figures)}."
        if figures
        else ""
    )


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.machine()
