"""New findings in the log: a line each while they are few, fair between namespaces when they are not."""

import asyncio
import logging
from collections.abc import Iterable

from controlplane.kube.backoff import RateLimit
from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.turns import Bounds, LeftOut, Turns
from controlplane.translate.diagnostics import Diagnostic

log = logging.getLogger(__name__)

RATE_PER_S, BURST = 10.0, 100
BOUNDS = Bounds(whole=1000, of_namespace=100, of_object=5, least=10)


class FindingLog:
    """Logs new errors and warnings while `run` runs."""

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._limit = RateLimit(RATE_PER_S, BURST, clock)
        self._turns: Turns[str] = Turns(BOUNDS)
        self._left_out = LeftOut()
        self._woken = asyncio.Event()

    def note(self, findings: Iterable[Diagnostic], known: frozenset[str]) -> None:
        """Queue those that are not `known`, by their text."""
        for finding in findings:
            text = str(finding)
            if finding.level == "info" or text in known:
                continue
            place = finding.namespace, f"{finding.kind}/{finding.name}"
            if self._turns.has_room(*place):
                self._turns.put(*place, text)
            else:
                self._left_out.add(finding.namespace)
            self._woken.set()

    async def run(self) -> None:
        """Log until cancelled; a summary of omitted findings follows when none waits."""
        while True:
            if not self._turns:
                self._tell_left_out()
                self._woken.clear()
                await self._woken.wait()
            if self._turns:
                await self._limit.take()
                log.warning("finding", extra={"about": self._turns.take()})

    def _tell_left_out(self) -> None:
        if self._left_out:
            where = "/api/v1/diagnostics"
            log.warning("findings left out of the log", extra=self._left_out.take() | {"all": where})
