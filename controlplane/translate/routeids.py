"""Names of routes: made of the content of a route, never of its position. Pure.

Counters, limits, log lines and dashboards go by them, so a rule that is put in front of others must not
rename those, and every replica and every start of the gateway must make the same name: docs/behaviour.md.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from controlplane.resources.meta import ObjectMeta
from controlplane.translate.plan import DEFAULT_BACKEND, PlannedRoute
from proxy.model.conditions import Condition
from proxy.model.snapshot import PathKind, PathMatch

MAX_LENGTH: Final = 200
_CUT_DIGITS: Final = 16  # 64 bits: too many to find a second path with the name of another route
_CONDITION_DIGITS: Final = 8
_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '%:"\\')


def with_ids(metadata: ObjectMeta, routes: Iterable[PlannedRoute]) -> Iterator[PlannedRoute]:
    """Yield the routes of one Ingress with their ids. Of equal routes, later ones get a number.

    Only the first of equal routes is ever taken, and has the name without a number.
    """
    seen = Counter[str]()
    for route in routes:
        name = route_id(metadata.namespace, metadata.name, route)
        seen[name] += 1
        yield replace(route, id=f"{name}:{seen[name]}" if seen[name] > 1 else name)


def route_id(namespace: str, name: str, route: PlannedRoute) -> str:
    """Return the name of a route among those of all Ingresses, up to 200 characters without white space."""
    marks = [_path_mark(route.path), _condition_mark(route.conditions)]
    if route.field == DEFAULT_BACKEND:
        marks.append("default")
    path = quote(route.path.value, safe=_PLAIN)
    between = "" if path.startswith("/") else ":"  # a regular expression may begin with any character
    place = f"{namespace}/{name}/{route.host or '*'}{between}{path}"
    return _cut(":".join((place, *filter(None, marks))))


def _path_mark(path: PathMatch) -> str:
    kind = "" if path.kind is PathKind.PREFIX and not path.ignore_case else path.kind.value
    return f"{kind}-i" if path.ignore_case else kind


def _condition_mark(conditions: tuple[Condition, ...]) -> str:
    """Return the kinds of the conditions and a hash of their content, the same for any order."""
    if not conditions:
        return ""
    said = b" ".join(sorted(map(_said, conditions)))
    kinds = sorted({str(each.__struct_config__.tag) for each in conditions})
    return f"{'+'.join(kinds)}-{sha256(said).hexdigest()[:_CONDITION_DIGITS]}"


def _said(condition: Condition) -> bytes:
    """Return a condition as text; its values are a choice, so their order does not count."""
    said = msgspec.to_builtins(condition)
    return msgspec.json.encode(
        {
            key: sorted(value, key=msgspec.json.encode) if isinstance(value, list | tuple) else value
            for key, value in said.items()
        }
    )


def _cut(text: str) -> str:
    if len(text) <= MAX_LENGTH:
        return text
    digest = sha256(text.encode()).hexdigest()[:_CUT_DIGITS]
    return f"{text[: MAX_LENGTH - _CUT_DIGITS - 1]}~{digest}"
