"""Ingresses that are not served as they are written, and that a request may have been meant for."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from controlplane.resources.ingress import Ingress, IngressPath, IngressRule
from controlplane.translate.diagnostics import Diagnostic
from proxy.model.snapshot import Snapshot, Source
from proxy.routing.explain import Inquiry, covers_host

MOST: Final = 5
_LITERAL_ROOT: Final = "/"
_EXACT: Final = "Exact"


def refused(
    ingresses: Mapping[str, Ingress],
    diagnostics: Iterable[Diagnostic],
    snapshot: Snapshot,
    asked: Inquiry,
    winner: Source | None,
) -> list[dict[str, Any]]:
    """Return the Ingresses with errors, or without any route, that name the host and path.

    That of the route which takes the request is left out: its findings stand beside the answer.
    """
    routed = {(route.source.namespace, route.source.name) for route in snapshot.routes}
    told: dict[tuple[str, str], list[Diagnostic]] = {}
    for item in diagnostics:
        name = (item.namespace, item.name)
        is_told = item.level == "error" or (item.level == "warning" and name not in routed)
        if item.kind == "Ingress" and is_told and name != _name(winner):
            told.setdefault(name, []).append(item)
    found = (
        _view(name, items)
        for name, items in sorted(told.items())
        if (ingress := ingresses.get("/".join(name))) is not None and _may_mean(ingress, asked)
    )
    return list(islice(found, MOST))


def _name(source: Source | None) -> tuple[str, str]:
    return (source.namespace, source.name) if source is not None else ("", "")


def _view(name: tuple[str, str], items: Iterable[Diagnostic]) -> dict[str, Any]:
    return {
        "source": {"kind": "Ingress", "namespace": name[0], "name": name[1], "generation": 0},
        "findings": [
            {
                "code": item.code,
                "level": item.level,
                "field": item.field,
                "message": item.message,
                "fix": item.fix,
            }
            for item in items
        ],
    }


def _may_mean(ingress: Ingress, asked: Inquiry) -> bool:
    if ingress.spec.default_backend is not None:
        return True
    return any(_covers(rule, asked) for rule in ingress.spec.rules)


def _covers(rule: IngressRule, asked: Inquiry) -> bool:
    if not covers_host(rule.host, asked.host):
        return False
    paths = tuple(_paths(rule))
    return not paths or any(_covers_path(path, asked.path) for path in paths)


def _paths(rule: IngressRule) -> Iterator[IngressPath]:
    if rule.http is not None:
        yield from rule.http.paths


def _covers_path(path: IngressPath, asked: str) -> bool:
    """Whether the path may be meant: one that is no plain path, or none at all, may mean every request."""
    if path.path_type == _EXACT:
        return path.path == asked
    plain = path.path.rstrip(_LITERAL_ROOT)
    if not path.path.startswith(_LITERAL_ROOT) or not plain.replace("/", "").replace("-", "").isalnum():
        return True
    return asked == plain or asked.startswith(plain + _LITERAL_ROOT)
