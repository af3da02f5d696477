"""fleetgate.io/failback: when a cluster gets its share back that could not serve for a while."""

import re
from typing import Final

from controlplane.translate.annotations.draft import Draft, PlannedFailback
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import OWN, Annotation
from proxy.model.actions import Failback

LONGEST_S: Final = 86_400.0

FAILBACK: Final = Annotation(
    "failback",
    (OWN,),
    None,
    "says when a cluster that has failed gets its share back: at once, in eighths after a delay, or when"
    " `fleetgate failback` lets it back; until then it serves only if no other cluster can",
    type="word",
    allowed="auto; auto(DELAY, RAMP) with times from 0s to 24h, as 500ms, 30s, 5m or 1h; manual",
    default="auto",
    example="auto(30s, 60s)",
)
ROWS: Final = (FAILBACK,)

_AUTO: Final = re.compile(r"auto\s*\((.*)\)", re.DOTALL)
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def written(failback: Failback | None) -> str:
    """Return a failback as the annotation says it."""
    if failback is None:
        return "auto"
    return "manual" if failback.manual else f"auto({failback.delay_s:g}s, {failback.ramp_s:g}s)"


def apply(reader: Reader, draft: Draft) -> None:
    given = reader.given(FAILBACK)
    if given is None or given.text == "auto":
        return
    if given.text == "manual":
        draft.failback = PlannedFailback(manual=True)
        return
    timed = _AUTO.fullmatch(given.text)
    if timed is None:
        reader.reject(given, "is no way to fail back", FAILBACK.allowed)
    else:
        draft.failback = _timed(timed[1], given, reader)


def _timed(arguments: str, given: Given, reader: Reader) -> PlannedFailback | None:
    """Return delay and ramp of `auto(...)`, None when both are 0."""
    words = [word.strip() for word in arguments.split(",")]
    if len(words) != 2:
        reader.reject(given, "has not exactly a delay and a ramp", FAILBACK.allowed)
        return None
    times = [_seconds(word) for word in words]
    for word, seconds in zip(words, times, strict=True):
        if seconds is None:
            reader.reject(given, f'has "{word}", which is no time it can have', FAILBACK.allowed)
            return None
    delay_s, ramp_s = (seconds or 0.0 for seconds in times)
    return PlannedFailback(delay_s=delay_s, ramp_s=ramp_s) if delay_s or ramp_s else None


def _seconds(text: str) -> float | None:
    """Return a time in seconds; None for a text that is no time, or a time that is too long."""
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else None
    return round(seconds, 3) if seconds is not None and seconds <= LONGEST_S else None
