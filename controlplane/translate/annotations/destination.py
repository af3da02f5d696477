"""destination, default-backend, custom-http-errors, mirror-*: Services that the rules do not name."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft, PlannedBackend
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation
from controlplane.translate.dialects import Dialect
from controlplane.translate.services import ServiceRef

ERRORS: Final = (300, 599)
_MAX_PERCENT: Final = 1_000_000  # above 100 counts as 100
_HOST_GRAMMAR: Final = "<Service>.<namespace>.svc[.cluster.local][:<port>]"

DESTINATION: Final = Annotation(
    "destination",
    VENDOR,
    Dialect.MSE,
    "sends the requests of all rules to these Services, by weight, instead of those in the rules; Services of"
    " other namespaces need a ReferenceGrant there",
    "lines",
    f"lines of [<weight>%] {_HOST_GRAMMAR}; a single one needs no weight",
    example="60% web.demo.svc.cluster.local:80\n40% web-next.demo.svc.cluster.local:80",
)
DEFAULT_BACKEND: Final = Annotation(
    "default-backend",
    ANY_MSE,
    Dialect.MSE,
    "names the Service whose first port serves when the Service of a rule has no endpoint; one of another"
    " namespace needs a ReferenceGrant there",
    "Service",
    "the name of a Service, of this namespace or as <namespace>/<name>",
    example="fallback",
)
FALLBACK_SERVICE: Final = Annotation(
    "fallback-service",
    VENDOR,
    Dialect.MSE,
    "names the Service that serves when the Service of a rule has no endpoint; default-backend wins; one"
    " of another namespace needs a ReferenceGrant there",
    "Service",
    _HOST_GRAMMAR,
    example="fallback.demo.svc.cluster.local:80",
)
STATUSES: Final = Annotation(
    "custom-http-errors",
    ANY_MSE,
    Dialect.MSE,
    "names answers that are replaced by the answer of the default-backend to GET /",
    "comma list",
    f"a comma list of statuses from {ERRORS[0]} to {ERRORS[1]}",
    example="502,503",
)
MIRROR: Final = Annotation(
    "mirror-target-service",
    VENDOR,
    Dialect.MSE,
    "sends a copy of each request to this Service; its answer is thrown away; one of another namespace needs"
    " a ReferenceGrant there",
    "Service",
    "[<namespace>/]<name>[:<port>]; without a port the first one of the Service",
    example="demo/shadow:80",
)
PERCENT: Final = Annotation(
    "mirror-percentage",
    VENDOR,
    Dialect.MSE,
    "is how many of a hundred requests are copied",
    "integer",
    "an integer from 0; all from 100 on",
    "100",
    example="10",
)
ROWS: Final = (DESTINATION, DEFAULT_BACKEND, FALLBACK_SERVICE, STATUSES, MIRROR, PERCENT)

_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_PORT: Final = rf"[0-9]{{1,5}}|{_LABEL}"
_HOST = re.compile(
    rf"(?P<name>{_LABEL})\.(?P<namespace>{_LABEL})\.svc(?:\.cluster\.local)?(?::(?P<port>{_PORT}))?"
)
_NAMED = re.compile(rf"(?:(?P<namespace>{_LABEL})/)?(?P<name>{_LABEL})(?::(?P<port>{_PORT}))?")
_WEIGHT = re.compile(r"([0-9]{1,3})%")


def apply(reader: Reader, draft: Draft) -> None:
    _apply_default(reader, draft)
    _apply_destination(reader, draft)
    _apply_mirror(reader, draft)
    statuses = _statuses(reader)
    if draft.default_backend is None:
        reader.idle((STATUSES,), f"there is no {DEFAULT_BACKEND.name} that could answer instead")
    else:
        draft.error_statuses = statuses


def _apply_default(reader: Reader, draft: Draft) -> None:
    given = reader.given(DEFAULT_BACKEND)
    row, grammar = DEFAULT_BACKEND, _NAMED
    if given is None:
        given = reader.given(FALLBACK_SERVICE)
        row, grammar = FALLBACK_SERVICE, _HOST
    else:
        reader.idle((FALLBACK_SERVICE,), f"{DEFAULT_BACKEND.name} wins")
    if given is None:
        return
    service = _service(given.text, grammar, draft.namespace)
    if service and not (row is DEFAULT_BACKEND and ":" in given.text):
        draft.default_backend = PlannedBackend(service, place=given.field)
    else:
        reader.reject(given, "is not a Service", row.allowed)


def _service(text: str, grammar: re.Pattern[str], namespace: str) -> str:
    """Return the id of the named service, with its first port when no port is named; "" when no Service is
    named.
    """
    match = grammar.fullmatch(text)
    port = match["port"] or "" if match is not None else ""
    if match is None or (port.isdigit() and integer(port, 1, 65535) is None):
        return ""
    return ServiceRef.of(match["namespace"] or namespace, match["name"], port).id


def _apply_destination(reader: Reader, draft: Draft) -> None:
    given = reader.given(DESTINATION)
    if given is None:
        return
    lines = [line.split() for line in given.text.splitlines() if line]
    fallbacks = (draft.default_backend,) if draft.default_backend is not None else ()
    backends: list[PlannedBackend] = []
    for words in lines:
        weight = _WEIGHT.fullmatch(words[0])
        rest = words[1:] if weight else words
        service = _service(rest[0], _HOST, draft.namespace) if len(rest) == 1 else ""
        share = int(weight[1]) if weight else 100
        if not service or share > 100 or (weight is None and len(lines) > 1):
            reader.reject(given, f"has the line {' '.join(words)!r}", DESTINATION.allowed)
        else:
            backends.append(PlannedBackend(service, share, fallbacks=fallbacks, place=given.field))
    total = sum(backend.weight for backend in backends)
    if len(backends) == len(lines) and not total:
        reader.reject(given, "names no Service with a weight above 0", DESTINATION.allowed)
    elif len(backends) == len(lines) and total != 100:
        note = f"the weights sum to {total}: the parts are in proportion to them"
        reader.findings.add("FG0202", given.field, given.text, note=note)
    draft.backends = tuple(backends)


def _apply_mirror(reader: Reader, draft: Draft) -> None:
    given = reader.given(MIRROR)
    percent = reader.integer(PERCENT, 0, _MAX_PERCENT)
    if given is None:
        reader.idle((PERCENT,), f"there is no {MIRROR.name}")
        return
    service = _service(given.text, _NAMED, draft.namespace)
    if not service:
        reader.reject(given, "is not a Service", MIRROR.allowed)
    elif percent != 0:
        draft.mirror = (PlannedBackend(service, place=given.field),)
        draft.mirror_percent = 100 if percent is None else min(percent, 100)


def _statuses(reader: Reader) -> tuple[int, ...]:
    items = reader.items(STATUSES)
    given = reader.given(STATUSES)
    statuses: list[int] = []
    for item in items or ():
        status = integer(item, *ERRORS)
        if status is not None:
            statuses.append(status)
        elif given is not None:
            reader.reject(given, f"has {item!r}, which is not a status", STATUSES.allowed)
    return tuple(sorted(statuses))
