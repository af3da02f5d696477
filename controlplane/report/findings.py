"""Findings as Events on their objects: when they appear, again while they persist, few of one object."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from controlplane.kube.clock import Clock
from controlplane.kube.events import BOUNDS, EventRecorder, EventSubject
from controlplane.kube.lease import LeaderElector
from controlplane.resources.kinds import (
    ALBCONFIGS,
    INGRESS_CLASSES,
    INGRESSES,
    MSE_INGRESS_CONFIGS,
    SECRETS,
    SERVER_GROUPS,
)
from controlplane.translate.diagnostics import Diagnostic

REMIND_AFTER_S = 1800.0
"""API servers forget Events after an hour: a finding that persists is written again before."""

CHECK_EVERY_S = 30.0
LATER_S = 5.0
"""Pause when some findings found no room in the queue of Events."""

MOST_OF_OBJECT: Final = BOUNDS.of_object - 1
"""Findings of one object that get an Event each; a further Event has the number of the rest."""

YIELD_EVERY: Final = 50  # objects, about a millisecond
API_VERSIONS: Final = {
    kind.kind: kind.api_version
    for kind in (INGRESSES, INGRESS_CLASSES, ALBCONFIGS, MSE_INGRESS_CONFIGS, SERVER_GROUPS, SECRETS)
}

_SEVERITIES: Final = ("error", "warning", "info")


class _Notice(msgspec.Struct, frozen=True):
    """Type, reason and message of an Event."""

    type: str
    reason: str
    text: str
    about: str


class FindingEvents:
    """Writes Events for the findings submitted last while `run` runs, without waiting for statuses."""

    def __init__(self, recorder: EventRecorder, elector: LeaderElector, clock: Clock) -> None:
        self._recorder = recorder
        self._elector = elector
        self._clock = clock
        self._findings: tuple[Diagnostic, ...] = ()
        self._told: dict[tuple[str, ...], float] = {}  # the written Events, and when
        self._woken = asyncio.Event()

    def submit(self, findings: tuple[Diagnostic, ...]) -> None:
        self._findings = findings
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled; nothing while another replica leads."""
        pause = CHECK_EVERY_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            self._woken.clear()
            await self._elector.leading()
            pause = CHECK_EVERY_S if await self._tell(self._findings) else LATER_S

    async def _tell(self, findings: Iterable[Diagnostic]) -> bool:
        """Queue Events about these, which are all there are. False: some found no room."""
        now = self._clock.monotonic()
        told: dict[tuple[str, ...], float] = {}
        found_room = True
        for number, items in enumerate(_by_object(findings)):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            subject = _subject(items[0])
            for notice in _notices(items):
                key = (subject.uid, notice.about, str(subject.generation))
                told[key] = self._told.get(key, float("-inf"))
                if now - told[key] < REMIND_AFTER_S:
                    continue
                if self._recorder.has_room(subject):
                    told[key] = now
                    self._recorder.record(
                        subject, notice.type, notice.reason, notice.text, about=notice.about
                    )
                else:
                    found_room = False
        self._told = told
        return found_room


def _by_object(findings: Iterable[Diagnostic]) -> list[list[Diagnostic]]:
    """Return the findings that Events can be about, by object; of each the gravest come first."""
    found: dict[str, list[Diagnostic]] = {}
    for item in findings:
        if item.uid and item.kind in API_VERSIONS:
            found.setdefault(item.uid, []).append(item)
    for items in found.values():
        items.sort(key=lambda item: _SEVERITIES.index(item.level))
    return list(found.values())


def _subject(item: Diagnostic) -> EventSubject:
    return EventSubject(
        API_VERSIONS[item.kind], item.kind, item.namespace, item.name, item.uid, item.generation
    )


def _notices(items: list[Diagnostic]) -> Iterator[_Notice]:
    """Yield the Events for one object."""
    for item in items[:MOST_OF_OBJECT]:
        kind = "Normal" if item.level == "info" else "Warning"
        # A field can have the same finding twice, about two of the clusters it names for example
        yield _Notice(kind, item.reason, item.text, f"{item.code} {item.field} {item.message}")
    rest = [item.level for item in items[MOST_OF_OBJECT:]]
    if rest:
        counts = ", ".join(f"{rest.count(level)} {level}" for level in _SEVERITIES)
        where = f"/api/v1/diagnostics?namespace={items[0].namespace}&name={items[0].name}"
        text = f"{len(rest)} more findings ({counts}); fleetgate validate and {where} list them"
        yield _Notice("Warning", "MoreFindings", text, "more")
