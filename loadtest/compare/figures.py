"""The figures that every program of load gives, and the error of one that cannot give them."""

from dataclasses import dataclass


class LoadError(Exception):
    """A program of load is missing, or printed text that is not understood."""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one run of a load. Times in milliseconds."""

    requests: int
    elapsed_s: float  # of the whole run, as the clock on the wall has it
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int  # answers other than 2xx and 3xx, and broken or timed out connections


def percentile(ordered: list[float], percent: int) -> float:
    """Return the value that `percent` of the ordered values do not exceed; 0 of none."""
    return ordered[(len(ordered) - 1) * percent // 100] if ordered else 0.0
