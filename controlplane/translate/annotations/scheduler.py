"""backend-scheduler: how an endpoint is chosen for a request."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Algorithm, HashKey, HashSource

_MAX_PARAMETER: Final = 100

SCHEDULER: Final = Annotation(
    "backend-scheduler",
    (ALB,),
    Dialect.ALB,
    "chooses the algorithm that finds an endpoint: in turns by weight (wrr), the least busy one (wlc), by"
    " the client's address (sch), or by a query parameter (uch)",
    type="word",
    allowed="wrr, wlc, sch, uch",
    default="the less busy one of two",
    example="wlc",
)
PARAMETER: Final = Annotation(
    "backend-scheduler-uch-value",
    (ALB,),
    Dialect.ALB,
    "names the query parameter of backend-scheduler uch",
    type="query parameter",
    allowed=f"1 to {_MAX_PARAMETER} printable ASCII characters",
    example="user",
)
SLOW_START: Final = Annotation(
    "slow-start-enabled",
    (ALB,),
    Dialect.ALB,
    "gives a new endpoint a slow start: a part of the traffic that grows",
    type="boolean",
    allowed="true, false",
    default="false",
    example="true",
)
SLOW_START_S: Final = Annotation(
    "slow-start-duration",
    (ALB,),
    Dialect.ALB,
    "is the time over which the traffic of a new endpoint grows",
    type="seconds",
    allowed="30 to 900 seconds",
    default="30",
    example="60",
)
ROWS: Final = (SCHEDULER, PARAMETER, SLOW_START, SLOW_START_S)

_ALGORITHMS: Final = {
    "wrr": Algorithm.ROUND_ROBIN,
    "wlc": Algorithm.LEAST_CONNECTION,
    "sch": Algorithm.HASH,
    "uch": Algorithm.HASH,
}


def apply(reader: Reader, draft: Draft) -> None:
    duration_s = reader.integer(SLOW_START_S, 30, 900) or 30
    if reader.boolean(SLOW_START):
        draft.slow_start_s = float(duration_s)
    else:
        reader.idle((SLOW_START_S,), f"{SLOW_START.name} is not true")
    _apply_scheduler(reader, draft)


def _apply_scheduler(reader: Reader, draft: Draft) -> None:
    name = reader.choice(SCHEDULER, tuple(_ALGORITHMS))
    parameter = reader.text(PARAMETER)
    given = reader.given(PARAMETER)
    if parameter and given is not None and not (parameter.isascii() and parameter.isprintable()):
        reader.reject(given, "is not a query parameter", PARAMETER.allowed)
        return
    if name != "uch":
        reader.idle((PARAMETER,), f"{SCHEDULER.name} is not uch")
    scheduler = reader.given(SCHEDULER)
    if name is None or scheduler is None:
        return
    if name == "uch" and not parameter:
        if given is None:
            reader.reject(scheduler, f"needs the annotation {PARAMETER.keys[0]}", SCHEDULER.allowed)
        return
    draft.algorithm = _ALGORITHMS[name]
    if name == "sch":
        draft.hash_key = HashKey(HashSource.CLIENT)
    elif name == "uch":
        draft.hash_key = HashKey(HashSource.QUERY, parameter or "")
