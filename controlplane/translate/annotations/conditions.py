"""alb.ingress.kubernetes.io/conditions.<service>: further conditions of a rule.

Repeated blocks: Host and Path blocks widen the rule, Method and SourceIp blocks add up, and
each of the Header, QueryString and Cookie blocks has to hold.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import field

from controlplane.translate.annotations import condition_values as values
from controlplane.translate.annotations.condition_values import Host
from controlplane.translate.annotations.loosejson import JsonProblem, fold, read_list, written
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.diagnostics import Findings, did_you_mean
from controlplane.translate.dialects import Dialect
from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
)
from proxy.model.snapshot import PathMatch

FAMILY: Final = ALB + "conditions."
MAX_CONDITIONS: Final = 10

_GRAMMAR = 'a JSON array like [{"type": "Header", "headerConfig": {"key": "stage", "values": ["gray"]}}]'
CONDITIONS: Final = Annotation(
    "conditions.*",
    (ALB,),
    Dialect.ALB,
    "adds conditions to the rules with this backend service",
    type="JSON",
    allowed=_GRAMMAR,
    example='[{"type": "Header", "headerConfig": {"key": "stage", "values": ["gray"]}}]',
)
ROWS: Final = (CONDITIONS,)


class RuleConditions(msgspec.Struct):
    """The blocks for one service. `hosts` and `paths` come in addition to those of the rule."""

    hosts: list[Host] = field(default_factory=list)
    paths: list[PathMatch] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    others: list[Condition] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # of responses
    response_headers: list[HeaderCondition] = field(default_factory=list)

    @property
    def of_request(self) -> tuple[Condition, ...]:
        methods = (MethodCondition(tuple(dict.fromkeys(self.methods))),) if self.methods else ()
        sources = (SourceCondition(tuple(dict.fromkeys(self.networks))),) if self.networks else ()
        return (*self.others, *methods, *sources)

    @property
    def is_of_response(self) -> bool:
        return bool(self.statuses or self.response_headers)


NO_CONDITIONS: Final = RuleConditions()


def parse(reader: Reader) -> dict[str, RuleConditions | None]:
    """Return the conditions by service name; None for a service whose conditions are unusable."""
    return {
        given.suffix: _parse_one(given.field, given.text, reader.findings)
        for given in reader.members(CONDITIONS)
    }


def _parse_one(field_path: str, text: str, findings: Findings) -> RuleConditions | None:
    try:
        blocks = read_list(text)
        if len(blocks) > MAX_CONDITIONS:
            raise JsonProblem(f"has {len(blocks)} conditions, more than {MAX_CONDITIONS}")
    except JsonProblem as problem:
        findings.add("FG0201", field_path, text, problem=problem, allowed=_GRAMMAR)
        return None
    found = RuleConditions()
    usable = [_block(f"{field_path}[{index}]", block, found, findings) for index, block in enumerate(blocks)]
    usable.append(_has_few_sources(field_path, text, found, findings))
    return found if all(usable) else None


def _has_few_sources(field_path: str, text: str, found: RuleConditions, findings: Findings) -> bool:
    if len(found.networks) <= values.MAX_SOURCES:
        return True
    allowed = f"at most {values.MAX_SOURCES} in all SourceIp blocks"
    findings.add("FG0201", field_path, text, problem="has too many source addresses", allowed=allowed)
    return False


def _block(field_path: str, value: Any, found: RuleConditions, findings: Findings) -> bool:
    """Add a block to the match; return False when the block cannot be used."""
    try:
        block = fold(value)
    except JsonProblem as problem:
        findings.add("FG0201", field_path, written(value), problem=problem, allowed=_GRAMMAR)
        return False
    named = block.get("type")
    kind = _TYPE_NAMES.get(named.lower()) if isinstance(named, str) else None
    if kind is None:
        cause = f"is not a condition type{did_you_mean(written(named), TYPES)}"
        findings.add("FG0201", f"{field_path}.type", written(named), problem=cause, allowed=", ".join(TYPES))
        return False
    name, example, keys, add = _KINDS[kind]
    _report_unknown(field_path, block, ("type", name.lower()), findings)
    return _config(f"{field_path}.{name}", block.get(name.lower()), example, keys, add, found, findings)


def _config(
    field_path: str, value: Any, example: str, keys: tuple[str, ...], add: "_Add", found: RuleConditions,
    findings: Findings,
) -> bool:  # fmt: skip
    try:
        config = fold(value)
    except JsonProblem as problem:
        findings.add("FG0201", field_path, written(value), problem=problem, allowed=example)
        return False
    _report_unknown(field_path, config, keys, findings)
    return add(field_path, config, found, findings)


def _report_unknown(
    field_path: str, value: Mapping[str, Any], known: tuple[str, ...], findings: Findings
) -> None:
    for name in sorted(value.keys() - set(known)):
        findings.add(
            "FG0208",
            field_path,
            written(value[name]),
            name=name,
            hint=did_you_mean(name, known),
            allowed=", ".join(known),
        )


def _add_hosts(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    return _extend(found.hosts, values.each(f"{field_path}.values", config, values.HOST, findings))


def _add_paths(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    return _extend(found.paths, values.each(f"{field_path}.values", config, values.PATH, findings))


def _add_methods(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    return _extend(found.methods, values.each(f"{field_path}.values", config, values.METHOD, findings))


def _add_sources(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    return _extend(found.networks, values.each(f"{field_path}.values", config, values.NETWORK, findings))


def _add_statuses(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    return _extend(found.statuses, values.each(f"{field_path}.values", config, values.STATUS, findings))


def _add_header(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    condition = values.header(field_path, config, findings)
    return _extend(found.others, None if condition is None else (condition,))


def _add_response_header(
    field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings
) -> bool:
    condition = values.header(field_path, config, findings)
    return _extend(found.response_headers, None if condition is None else (condition,))


def _add_query(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    pairs = values.pairs(f"{field_path}.values", config, findings)
    return _extend(found.others, None if pairs is None else (QueryCondition(pairs),))


def _add_cookie(field_path: str, config: dict[str, Any], found: RuleConditions, findings: Findings) -> bool:
    pairs = values.pairs(f"{field_path}.values", config, findings)
    return _extend(found.others, None if pairs is None else (CookieCondition(pairs),))


def _extend(items: list[Any], more: "tuple[Any, ...] | None") -> bool:
    if more is None:
        return False
    items.extend(more)
    return True


_Add = Callable[[str, dict[str, Any], RuleConditions, Findings], bool]
_LIST: Final = '{"values": ["<value>", …]}'
_PAIRS: Final = '{"values": [{"key": "<name>", "value": "<value>"}, …]}'
_KEYED: Final = '{"key": "<header>", "values": ["<value>", …]}'
_KINDS: Final[Mapping[str, tuple[str, str, tuple[str, ...], _Add]]] = {
    "Host": ("hostConfig", _LIST, ("values",), _add_hosts),
    "Path": ("pathConfig", _LIST, ("values",), _add_paths),
    "Header": ("headerConfig", _KEYED, ("key", "values"), _add_header),
    "QueryString": ("queryStringConfig", _PAIRS, ("values",), _add_query),
    "Method": ("methodConfig", _LIST, ("values",), _add_methods),
    "Cookie": ("cookieConfig", _PAIRS, ("values",), _add_cookie),
    "SourceIp": ("sourceIpConfig", _LIST, ("values",), _add_sources),
    "ResponseStatusCode": ("responseStatusCodeConfig", _LIST, ("values",), _add_statuses),
    "ResponseHeader": ("responseHeaderConfig", _KEYED, ("key", "values"), _add_response_header),
}
"""By type: the name of the block's object, an example, its keys in lower case, the function that adds it."""

TYPES: Final = tuple(_KINDS)
_TYPE_NAMES: Final = {name.lower(): name for name in TYPES}
