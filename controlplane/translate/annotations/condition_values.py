"""The values in the conditions of ALB: their grammars and limits (CreateRule of its API)."""

import re
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from controlplane.translate.annotations.loosejson import JsonProblem, fold, written
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.diagnostics import Findings
from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.networks import parse_network
from controlplane.translate.paths import PathProblem, parse_path
from proxy.model.conditions import HeaderCondition, HostCondition, TextKind
from proxy.model.snapshot import PathMatch

MAX_SOURCES: Final = 5
METHODS: Final = ("HEAD", "GET", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")

_HEADER_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
_HEADER_VALUE = re.compile(r"(?! )[\x20-\x7e]{1,128}(?<! )")
_RESERVED = ("cookie", "host")
_PAIR_KEY = re.compile(r"[\x21-\x7e]{1,100}")
_PAIR_VALUE = re.compile(r"[\x21-\x7e]{1,128}")
_PAIR_FORBIDDEN = re.compile(r"[#\[\]{}\\|<>&]")
_HOST_GLOB = re.compile(r"[a-z0-9.*?-]{3,128}")

T = TypeVar("T")


class Host(msgspec.Struct, frozen=True):
    """A host of a rule; or a pattern that may stand for several labels, on a rule for any host."""

    name: str
    pattern: HostCondition | None = None
    is_alias: bool = False


class ValueProblem(ValueError):
    """The value cannot be used; the message says why."""


class Grammar(msgspec.Struct, Generic[T], frozen=True):
    """How one value is read. `read` raises ValueProblem."""

    read: Callable[[Any], T]
    allowed: str


def each(field: str, config: dict[str, Any], grammar: Grammar[T], findings: Findings) -> tuple[T, ...] | None:
    """Return the items of config["values"]; None, with a finding for each bad one, when any is unusable."""
    given = config.get("values")
    if not isinstance(given, list) or not given:
        problem = "is not a list with at least one value"
        findings.add("FG0201", field, written(given), problem=problem, allowed=f"a list of {grammar.allowed}")
        return None
    found: list[T] = []
    for index, value in enumerate(given):
        try:
            found.append(grammar.read(value))
        except ValueProblem as problem:
            findings.add(
                "FG0201", f"{field}[{index}]", written(value), problem=problem, allowed=grammar.allowed
            )
    return tuple(dict.fromkeys(found)) if len(found) == len(given) else None


def header(field: str, config: dict[str, Any], findings: Findings) -> HeaderCondition | None:
    """Return the condition of {"key": …, "values": […]}; None, with findings, when it is unusable."""
    key = config.get("key")
    usable = isinstance(key, str) and _HEADER_KEY.fullmatch(key) and key.lower() not in _RESERVED
    if not usable:
        allowed = "1 to 40 letters, digits, - and _, not Cookie or Host"
        problem = "is not a header name for a condition"
        findings.add("FG0201", f"{field}.key", written(key), problem=problem, allowed=allowed)
    patterns = each(f"{field}.values", config, HEADER_VALUE, findings)
    return HeaderCondition(str(key).lower(), patterns) if usable and patterns else None


def pairs(field: str, config: dict[str, Any], findings: Findings) -> tuple[tuple[str, str], ...] | None:
    """Return the (name, pattern) pairs of query parameters or cookies."""
    return each(field, config, PAIR, findings)


def _host(value: Any) -> Host:
    if not isinstance(value, str) or "." not in value.strip("."):
        raise ValueProblem("is not a host")
    text = value.lower()
    if "*" not in text and "?" not in text:
        try:
            return Host(parse_host(text))
        except HostProblem as problem:
            raise ValueProblem(str(problem)) from None
    if not _HOST_GLOB.fullmatch(text):
        raise ValueProblem("is not a host pattern")
    return Host("", HostCondition((text,), TextKind.GLOB))


def _path(value: Any) -> PathMatch:
    if not isinstance(value, str) or not value:
        raise ValueProblem("is not a path")
    try:
        return parse_path("ImplementationSpecific", value)
    except PathProblem as problem:
        raise ValueProblem(str(problem)) from None


def _method(value: Any) -> str:
    if not isinstance(value, str) or value not in METHODS:
        raise ValueProblem("is not a method of a condition")
    return value


def _network(value: Any) -> str:
    network = parse_network(value, strict=True)
    if network is None:
        raise ValueProblem("is not an address or a network")
    return network


def _status(value: Any) -> int:
    status = integer(value, 100, 599)
    if status is None:
        raise ValueProblem("is not a status code")
    return status


def _header_value(value: Any) -> str:
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise ValueProblem("is not a header value")
    return value


def _pair(value: Any) -> tuple[str, str]:
    try:
        pair = fold(value)
    except JsonProblem as problem:
        raise ValueProblem(str(problem)) from None
    key, pattern = pair.get("key"), pair.get("value")
    if not isinstance(key, str) or not _PAIR_KEY.fullmatch(key) or _PAIR_FORBIDDEN.search(key):
        raise ValueProblem("has a key that cannot be used")
    if not isinstance(pattern, str) or not _PAIR_VALUE.fullmatch(pattern) or _PAIR_FORBIDDEN.search(pattern):
        raise ValueProblem("has a value that cannot be used")
    return key, pattern


HOST: Final = Grammar(
    _host, "3 to 128 of a-z, 0-9, - and . with at least one dot inside; * and ? are wildcards"
)
PATH: Final = Grammar(
    _path, "/ and up to 128 of letters, digits, $-_.+/&~@: and the wildcards * and ?; or ~ and an expression"
)
METHOD: Final = Grammar(_method, ", ".join(METHODS))
NETWORK: Final = Grammar(_network, "an IPv4 or IPv6 address, or a network like 172.16.0.0/16")
STATUS: Final = Grammar(_status, "a status code from 100 to 599")
HEADER_VALUE: Final = Grammar(
    _header_value,
    "1 to 128 printable ASCII characters without space at either end; * and ? are wildcards",
)
PAIR: Final = Grammar(
    _pair,
    'objects {"key": …, "value": …}: a key of 1 to 100 and a value of 1 to 128 printable ASCII characters'
    " without space and #[]{}\\|<>&; * and ? in the value are wildcards",
)
