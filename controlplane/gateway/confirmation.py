"""Holds back statuses and Events about a snapshot until the workers serve it."""

import asyncio
from collections.abc import Callable
from typing import Final

from controlplane.publish import Publisher, Rejection
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import ObjectStatus, Translation
from controlplane.translate.refusals import refusal_findings

FINDINGS_PATIENCE_S: Final = 1.0
"""The longest time that findings wait for workers: findings are about objects, and hold without workers."""

Submit = Callable[[tuple[ObjectStatus, ...], tuple[Diagnostic, ...]], None]


class Confirmation:
    """The statuses of confirmed snapshots; earlier statuses stay until then. See `expect`.

    A snapshot is confirmed when every connected worker of this replica has acknowledged it, and at least one
    has: a worker that is dead or being replaced holds nothing up. A refused snapshot is never confirmed: then
    the objects that changed get an error.
    """

    def __init__(self, publisher: Publisher, submit: Submit) -> None:
        self._publisher = publisher
        self._submit = submit
        self.has_confirmed = False  # any translation yet: the snapshot from disk is served no longer
        self._served: tuple[ObjectStatus, ...] = ()
        self._expected: tuple[int, Translation] | None = None
        self._told: Rejection | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._refusal: asyncio.Task[None] | None = None
        publisher.on_progress = self.look

    def expect(self, version: int, translation: Translation) -> None:
        """Submit this translation's statuses once its snapshot, which has that number, is served."""
        self._expected = (version, translation)
        self._told = None
        self.look()
        if self._expected is not None and self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(FINDINGS_PATIENCE_S, self._tell_findings)

    def look(self) -> None:
        """Compare the expected version with the workers' answers; called with each of their messages."""
        if self._expected is None:
            return
        version, translation = self._expected
        refusal = self._publisher.refusal
        if refusal is not None:
            if refusal is not self._told:
                self._told = refusal
                self._refusal = asyncio.create_task(self._tell(refusal, translation), name="refusal")
        elif self._publisher.serves(version):
            self._expected = None
            self.has_confirmed = True
            self._served = translation.statuses
            self._submit(self._served, translation.diagnostics)

    def close(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if self._refusal is not None:
            self._refusal.cancel()

    def _tell_findings(self) -> None:
        self._patience = None
        if self._expected is not None and self._told is None:
            self._submit(self._served, self._expected[1].diagnostics)

    async def _tell(self, refusal: Rejection, translation: Translation) -> None:
        """Report why the earlier rules stay; in a thread, for all routes may have to be compared."""
        publisher = self._publisher
        refused = publisher.wanted
        if refused is None:
            return
        found = await asyncio.to_thread(
            refusal_findings, refusal.reason, publisher.snapshot, refused, translation.statuses
        )
        if self._told is refusal:
            self._submit(self._served, (*translation.diagnostics, *found))
