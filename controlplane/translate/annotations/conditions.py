"""alb.ingress.kubernetes.io/conditions.<service>: what else a request must have to take a rule."""

import re
from collections.abc import Mapping
from typing import Any, Final

from controlplane.translate.annotations.loosejson import JsonProblem, fold, read_list, written
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect
from proxy.model.conditions import Condition, HeaderCondition

FAMILY: Final = ALB + "conditions."
TYPES: Final = (
    "Host",
    "Path",
    "Header",
    "QueryString",
    "Method",
    "Cookie",
    "SourceIp",
    "ResponseStatusCode",
    "ResponseHeader",
)
SUPPORTED: Final = ("Header",)
MAX_CONDITIONS: Final = 10

_GRAMMAR = 'a JSON array like [{"type": "Header", "headerConfig": {"key": "stage", "values": ["gray"]}}]'
CONDITIONS: Final = Annotation(
    "conditions.*",
    (ALB,),
    Dialect.ALB,
    "says what else a request must have to take the rules with this backend service",
    type="JSON",
    allowed=_GRAMMAR,
    example='[{"type": "Header", "headerConfig": {"key": "stage", "values": ["gray"]}}]',
)
ROWS: Final = (CONDITIONS,)
_HEADER_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
_HEADER_VALUE = re.compile(r"(?! )[\x20-\x7e]{1,128}(?<! )")
_RESERVED = ("cookie", "host")


def parse(reader: Reader) -> dict[str, tuple[Condition, ...] | None]:
    """Return the conditions by service name; None for a service whose conditions are unusable."""
    found: dict[str, tuple[Condition, ...] | None] = {}
    for given in reader.members(CONDITIONS):
        found[given.suffix] = _parse_one(given.field, given.text, reader.findings)
    return found


def _parse_one(field: str, text: str, findings: Findings) -> tuple[Condition, ...] | None:
    try:
        blocks = read_list(text)
        if len(blocks) > MAX_CONDITIONS:
            raise JsonProblem(f"has {len(blocks)} conditions, more than {MAX_CONDITIONS}")
    except JsonProblem as problem:
        findings.add("FG0201", field, text, problem=problem, allowed=_GRAMMAR)
        return None
    conditions = [_block(f"{field}[{index}]", block, findings) for index, block in enumerate(blocks)]
    usable = tuple(condition for condition in conditions if condition is not None)
    return usable if len(usable) == len(conditions) else None


def _block(field: str, value: Any, findings: Findings) -> Condition | None:
    try:
        block = fold(value)
    except JsonProblem as problem:
        findings.add("FG0201", field, written(value), problem=problem, allowed=_GRAMMAR)
        return None
    named = block.get("type")
    kind = _TYPE_NAMES.get(named.lower()) if isinstance(named, str) else None
    if kind is None:
        cause = f"is not a condition type{did_you_mean(written(named), TYPES)}"
        findings.add("FG0201", f"{field}.type", written(named), problem=cause, allowed=", ".join(TYPES))
        return None
    if kind not in SUPPORTED:
        findings.add("FG0203", f"{field}.type", named, note="", allowed=", ".join(SUPPORTED))
        return None
    _report_unknown(field, block, ("type", "headerconfig"), findings)
    return _header(f"{field}.headerConfig", block.get("headerconfig"), findings)


_TYPE_NAMES = {name.lower(): name for name in TYPES}


def _header(field: str, value: Any, findings: Findings) -> Condition | None:
    try:
        config = fold(value)
    except JsonProblem as problem:
        allowed = '{"key": "<header>", "values": ["<value>", …]}'
        findings.add("FG0201", field, written(value), problem=problem, allowed=allowed)
        return None
    _report_unknown(field, config, ("key", "values"), findings)
    name = _header_key(f"{field}.key", config.get("key"), findings)
    patterns = _header_values(f"{field}.values", config.get("values"), findings)
    return HeaderCondition(name, patterns) if name and patterns else None


def _header_key(field: str, key: Any, findings: Findings) -> str:
    if isinstance(key, str) and _HEADER_KEY.fullmatch(key) and key.lower() not in _RESERVED:
        return key.lower()
    allowed = "1 to 40 letters, digits, - and _, not Cookie or Host"
    findings.add(
        "FG0201", field, written(key), problem="is not a header name for a condition", allowed=allowed
    )
    return ""


def _header_values(field: str, values: Any, findings: Findings) -> tuple[str, ...]:
    allowed = "1 to 128 printable ASCII characters without space at either end; * and ? are wildcards"
    if not isinstance(values, list) or not values:
        problem = "is not a list with at least one value"
        findings.add("FG0201", field, written(values), problem=problem, allowed=f"a list of {allowed}")
        return ()
    patterns: list[str] = []
    for index, value in enumerate(values):
        if isinstance(value, str) and _HEADER_VALUE.fullmatch(value):
            patterns.append(value)
        else:
            problem = "is not a header value"
            findings.add("FG0201", f"{field}[{index}]", written(value), problem=problem, allowed=allowed)
    return tuple(dict.fromkeys(patterns)) if len(patterns) == len(values) else ()


def _report_unknown(field: str, value: Mapping[str, Any], known: tuple[str, ...], findings: Findings) -> None:
    for name in sorted(value.keys() - set(known)):
        findings.add(
            "FG0208",
            field,
            written(value[name]),
            name=name,
            hint=did_you_mean(name, known),
            allowed=", ".join(known),
        )
