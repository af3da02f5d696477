"""Normal traffic before, during and after a slowloris attack, and the outcome of the attackers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.kit.processes import Started, StartError, module, on_cores, own_environment, rss_bytes
from loadtest.kit.traffic import Seen, Traffic
from loadtest.soak.setting import Serving

CONNECTIONS = 32
SETTLE_S = 1
END_S = 15
"""Seconds that the attackers' process may take beyond its time."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """`attackers`: the output of their program."""

    phases: dict[str, dict[str, float]]
    attackers: dict[str, Any]

    @property
    def p99_ratio(self) -> float:
        return self.phases["during"]["p99_ms"] / self.phases["before"]["p99_ms"]


@dataclass(frozen=True, slots=True)
class Attack:
    connections: int
    byte_every_s: float
    opening_s: float
    seconds: int


def attacked(worker: Serving, rate: int, quiet_s: int, attack: Attack) -> Attacked:
    """Measure; this process makes the normal traffic. Raises StartError, OSError, ValueError."""
    output = worker.site.directory / "attackers.json"
    with on_cores(worker.load_core), Traffic(worker.port, rate, CONNECTIONS) as traffic:
        traffic.start()
        traffic.run(SETTLE_S)
        phases = {"before": _phase(traffic, worker.pid, quiet_s)}
        started = _start(worker, attack, output)
        try:
            phases["during"] = _phase(traffic, worker.pid, attack.seconds)
            for _ in range(END_S):
                if started.has_ended:
                    break
                traffic.run(1)
            else:
                raise started.failed("the attackers do not end")
        finally:
            started.stop()
        traffic.run(SETTLE_S)
        phases["after"] = _phase(traffic, worker.pid, quiet_s)
    try:
        return Attacked(phases, json.loads(output.read_text()))
    except ValueError:
        raise StartError(f"the attackers failed: {started.failed('no result')}") from None


def _start(worker: Serving, attack: Attack, output: Path) -> Started:
    command = [
        *module("loadtest.soak.attackers", "--port", str(worker.port)),
        *("--connections", str(attack.connections), "--byte-every", str(attack.byte_every_s)),
        *("--opening-s", str(attack.opening_s), "--seconds", str(attack.seconds)),
    ]
    return Started(
        command, worker.site.directory, (worker.load_core,), stdout=output, environment=own_environment()
    )


def _phase(traffic: Traffic, pid: int, seconds: int) -> dict[str, float]:
    seen, memory = Seen(), []
    for _ in range(seconds):
        seen.add(traffic.run(1))
        memory.append(rss_bytes(pid))
    return {
        "requests": len(seen.latencies),
        "failed": seen.failed,
        "p50_ms": seen.percentile_ms(50),
        "p99_ms": seen.percentile_ms(99),
        "slowest_ms": seen.percentile_ms(100),
        "rss_bytes": max(memory),
    }
