"""Findings about a snapshot that the workers refuse, on the objects that it was made from. Pure."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from controlplane.translate.diagnostics import Diagnostic, Findings, Subject
from controlplane.translate.model import ObjectStatus
from proxy.model.snapshot import Route, Snapshot, Source

MOST: Final = 20
"""The most changed objects that get the finding when the reason names no object."""


def refusal_findings(
    reason: str, served: Snapshot | None, refused: Snapshot, statuses: Iterable[ObjectStatus]
) -> tuple[Diagnostic, ...]:
    """Return an error about each object that may be the cause; `statuses` are those of the refused rules."""
    known = {(status.kind.kind, status.namespace, status.name): status for status in statuses}
    found: list[Diagnostic] = []
    for kind, namespace, name in islice(dict.fromkeys(_suspects(reason, served, refused)), MOST):
        status = known.get((kind, namespace, name))
        if status is not None:
            subject = Subject(kind, namespace, name, status.uid, status.generation)
            findings = Findings(subject)
            findings.add("FG0801", cause=reason)
            found += findings.items
    return tuple(found)


def _suspects(reason: str, served: Snapshot | None, refused: Snapshot) -> Iterator[tuple[str, str, str]]:
    """Yield the source of the route or listener that the reason names, else those of all that changed."""
    named = [each.source for each in refused.routes if reason.startswith(f"route {each.id}: ")]
    named += [each.source for each in refused.listeners if reason.startswith(f"listener {each.name}: ")]
    for source in named or _changed(served, refused):
        yield source.kind, source.namespace, source.name


def _changed(served: Snapshot | None, refused: Snapshot) -> Iterator[Source]:
    before: dict[str, Route] = {route.id: route for route in served.routes} if served is not None else {}
    for route in refused.routes:
        if before.get(route.id) != route:
            yield route.source
    listeners = served.listeners if served is not None else ()
    for listener in refused.listeners:
        if listener not in listeners:
            yield listener.source
