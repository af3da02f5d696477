"""Active health checks: the gateway asks endpoints by itself whether they can serve."""

from controlplane.checks.checker import Checker, CheckView, Counts
from controlplane.checks.overlay import with_verdicts

__all__ = ["CheckView", "Checker", "Counts", "with_verdicts"]
