"""Active health checks: the gateway itself probes the endpoints."""

from controlplane.checks.checker import Checker, CheckView, Counts
from controlplane.checks.overlay import with_verdicts

__all__ = ["CheckView", "Checker", "Counts", "with_verdicts"]
