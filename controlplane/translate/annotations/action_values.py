"""The configuration of ALB's actions other than ForwardGroup: fields, defaults and limits."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from controlplane.translate.annotations.loosejson import JsonProblem, fold, written
from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.templates import ALB_VARIABLES, template_problem
from controlplane.translate.diagnostics import Findings, did_you_mean
from proxy.model.actions import FixedResponse, Redirect
from proxy.model.grammar import REDIRECT_STATUSES
from proxy.model.paths import ascii_path
from proxy.model.policies import (
    Cors,
    HeaderChange,
    HeaderOperation,
    LimitScope,
    RateLimit,
    Rewrite,
    ValueSource,
)
from proxy.validation.actions import of_fixed, of_redirect
from proxy.validation.policies import of_change, of_cors, of_rewrite
from proxy.validation.problem import Problem

CONTENT_TYPES: Final = (
    "text/plain", "text/css", "text/html", "application/javascript", "application/json",
)  # fmt: skip
MAX_CONTENT: Final = 1024
QPS: Final = (1, 100_000)
MAX_AGE_S: Final = 172_800
TOO_MANY: Final = FixedResponse(503, "Too many requests.\n")
"""ALB's answer beyond a limit."""

_HEADER_KEY = re.compile(r"[A-Za-z0-9-]{1,40}")
_HEADER_VALUE = re.compile(r"(?! )[\x20-\x7e]{1,128}(?<! )")
_AS_IT_IS: Final[Mapping[str, str]] = MappingProxyType({})
_RESERVED: Final = ("cookie", "host")
_SYSTEM: Final = {
    "ClientSrcPort": ValueSource.CLIENT_PORT,
    "ClientSrcIp": ValueSource.CLIENT_ADDRESS,
    "Protocol": ValueSource.PROTOCOL,
    "SLBPort": ValueSource.LISTENER_PORT,
}


class _Config:
    """An action's object. Its fields are taken out one by one; the fields left over are unknown."""

    def __init__(self, field: str, value: Any, findings: Findings) -> None:
        self.field = field
        self.findings = findings
        self.is_usable = True
        self._names: list[str] = []
        try:
            self._values = fold(value)
        except JsonProblem as problem:
            self._values = {}
            self.reject("", written(value), str(problem), "a JSON object")
            self.findings = Findings(findings.subject)  # that its fields are missing too says nothing more

    def take(self, name: str, default: Any = None) -> Any:
        """Return a field that may be left out."""
        self._names.append(name)
        return self._values.pop(name.lower(), default)

    def reject(self, name: str, value: object, problem: str, allowed: str) -> None:
        self.is_usable = False
        field = f"{self.field}.{name}" if name else self.field
        self.findings.add("FG0201", field, value, problem=problem, allowed=allowed)

    def template(self, name: str, default: str) -> str:
        value = self.take(name, default)
        if isinstance(value, str) and name.lower() != "host":
            value = ascii_path(value)
        problem = template_problem(value, ALB_VARIABLES)
        if problem:
            self.reject(
                name, written(value), problem, f"text with each of {', '.join(ALB_VARIABLES)} at most once"
            )
            return default
        return str(value)

    def integer(self, name: str, lowest: int, highest: int) -> int | None:
        value = self.take(name)
        if value is None or value == "":
            return None
        number = integer(value, lowest, highest)
        if number is None:
            self.reject(name, written(value), "is not a number in range", f"{lowest} to {highest}")
        return number

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; a string is a comma list."""
        value = self.take(name, [])
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            self.reject(name, written(value), "is not a list of strings", '["<value>", …]')
            return ()
        return tuple(stripped for item in items if (stripped := item.strip()))

    def finish(self, problems: Iterable[Problem] = (), names: Mapping[str, str] = _AS_IT_IS) -> bool:
        """Report unknown fields, and values that a worker cannot use; return whether all can be used.

        `names` are the annotation's names of fields, where the snapshot has other names.
        """
        for found in problems if self.is_usable else ():
            self.reject(names.get(found.part, found.part), found.value, found.problem, found.allowed)
        for name in sorted(self._values):
            hint = did_you_mean(name, [known.lower() for known in self._names])
            self.findings.add(
                "FG0208",
                self.field,
                written(self._values[name]),
                name=name,
                hint=hint,
                allowed=", ".join(self._names),
            )
        return self.is_usable


def redirect(field: str, value: Any, findings: Findings) -> Redirect | None:
    config = _Config(field, value, findings)
    code = config.take("httpCode", "301")
    status = integer(code, 300, 399)
    if status not in REDIRECT_STATUSES:
        allowed = ", ".join(map(str, REDIRECT_STATUSES))
        config.reject("httpCode", written(code), "is not a redirect status", allowed)
    protocol = config.take("protocol", "${protocol}")
    if isinstance(protocol, str) and protocol.upper() in ("HTTP", "HTTPS"):
        protocol = protocol.upper()  # as in URLs, and in examples of ALB
    if protocol not in ("${protocol}", "HTTP", "HTTPS"):
        config.reject("protocol", written(protocol), "is not a protocol", "HTTP, HTTPS, ${protocol}")
    port = config.take("port", "${port}")
    number = integer(port, 1, 65535)
    if port != "${port}" and number is None:
        config.reject("port", written(port), "is not a port", "1 to 65535, ${port}")
    host, path, query = (config.template(name, f"${{{name}}}") for name in ("host", "path", "query"))
    where = "${port}" if number is None else str(number)
    answer = Redirect(status or 0, str(protocol).lower(), host, where, path, query)
    if not config.finish(of_redirect(answer)):
        return None
    if answer == Redirect(answer.status):
        config.reject("", written(value), "redirects every request to itself", "a part that differs")
        return None
    return answer


def fixed_response(field: str, value: Any, findings: Findings) -> FixedResponse | None:
    config = _Config(field, value, findings)
    code = config.take("httpCode", "")
    status = integer(code, 200, 599)
    if status is None or status // 100 == 3:
        config.reject("httpCode", written(code), "is not a status it can have", "200 to 299, 400 to 599")
    kind = config.take("contentType", "text/plain")
    if kind not in CONTENT_TYPES:
        config.reject("contentType", written(kind), "is not a content type", ", ".join(CONTENT_TYPES))
    content = config.take("content", "")
    if not isinstance(content, str) or not content.isascii() or len(content) > MAX_CONTENT:
        config.reject(
            "content", written(content), "is not a content", f"up to {MAX_CONTENT} ASCII characters"
        )
    answer = FixedResponse(status or 0, written(content), written(kind))
    names = {"status": "httpCode", "content_type": "contentType"}
    return answer if config.finish(of_fixed(answer), names) else None


def rewrite(field: str, value: Any, findings: Findings) -> Rewrite | None:
    config = _Config(field, value, findings)
    host, path, query = (config.template(name, f"${{{name.lower()}}}") for name in ("Host", "Path", "Query"))
    if not path.startswith(("/", "${path}")):
        config.reject("Path", path, "is not a path", "/… or ${path}")
    changed = Rewrite(
        host="" if host == "${host}" else host,
        path="" if path == "${path}" else path,
        query=None if query == "${query}" else query,
    )
    names = {"host": "Host", "path": "Path", "query": "Query"}
    return changed if config.finish(of_rewrite(changed), names) else None


def insert_header(field: str, value: Any, findings: Findings) -> HeaderChange | None:
    config = _Config(field, value, findings)
    name = _header_name(config)
    kind = config.take("valueType", "UserDefined")
    text = config.take("value", "")
    cover = config.take("coverEnabled", True)
    source = ValueSource.LITERAL
    if kind == "SystemDefined":
        source = _SYSTEM.get(written(text), source)
        if text not in tuple(_SYSTEM):
            config.reject("value", written(text), "is not a system value here", ", ".join(_SYSTEM))
    elif kind == "ReferenceHeader":
        source = ValueSource.HEADER
        if not isinstance(text, str) or not _HEADER_KEY.fullmatch(text):
            config.reject("value", written(text), "is not a header name", "1 to 40 letters, digits and -")
    elif kind != "UserDefined":
        allowed = "UserDefined, ReferenceHeader, SystemDefined"
        config.reject("valueType", written(kind), "is not a value type", allowed)
    elif not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
        config.reject("value", written(text), "is not a header value", "1 to 128 printable ASCII characters")
    operation = HeaderOperation.SET if cover in (True, "true") else HeaderOperation.DEFAULT
    inserted = written(text).lower() if source is ValueSource.HEADER else written(text)
    change = HeaderChange(operation, name, inserted if kind != "SystemDefined" else "", source)
    return change if config.finish(of_change(change), {"name": "key"}) else None


def remove_header(field: str, value: Any, findings: Findings) -> HeaderChange | None:
    config = _Config(field, value, findings)
    change = HeaderChange(HeaderOperation.REMOVE, _header_name(config))
    return change if config.finish(of_change(change), {"name": "key"}) else None


def _header_name(config: _Config) -> str:
    name = config.take("key")
    if isinstance(name, str) and _HEADER_KEY.fullmatch(name) and name.lower() not in _RESERVED:
        return name
    allowed = "1 to 40 letters, digits and -, not Cookie or Host"
    config.reject("key", written(name), "is not a header that can be changed", allowed)
    return ""


def traffic_limit(field: str, value: Any, findings: Findings) -> tuple[RateLimit, ...]:
    """Return the limits; () when there is none, or one is unusable."""
    config = _Config(field, value, findings)
    whole = config.integer("QPS", *QPS)
    single = config.integer("QPSPerIp", *QPS)
    if config.is_usable and whole is None and single is None:
        config.reject("", written(value), "limits nothing", "QPS, QPSPerIp or both")
    if whole is not None and single is not None and single >= whole:
        config.reject("QPSPerIp", single, "is not below QPS", f"1 to {whole - 1}")
    return qps_limits(whole, single) if config.finish() else ()


def qps_limits(whole: int | None, single: int | None) -> tuple[RateLimit, ...]:
    """Return the limits in requests per second, of all clients together and of each client."""
    limits = [RateLimit(single, TOO_MANY, scope=LimitScope.CLIENT)] if single is not None else []
    if whole is not None:
        limits.append(RateLimit(whole, TOO_MANY))
    return tuple(limits)


def mirror_groups(field: str, value: Any, findings: Findings) -> dict[str, Any] | None:
    """Return MirrorGroupConfig, keys in lower case."""
    config = _Config(field, value, findings)
    kind = config.take("TargetType", "ForwardGroupMirror")
    if kind != "ForwardGroupMirror":
        config.reject("TargetType", written(kind), "is not a mirror target", "ForwardGroupMirror")
    groups = config.take("MirrorGroupConfig")
    if not isinstance(groups, dict):
        config.reject("MirrorGroupConfig", written(groups), "is not an object", '{"ServerGroupTuples": […]}')
    return fold(groups) if config.finish() else None


def cors(field: str, value: Any, findings: Findings) -> Cors | None:
    config = _Config(field, value, findings)
    credentials = config.take("AllowCredentials", "on")
    if credentials not in ("on", "off"):
        config.reject("AllowCredentials", written(credentials), "is neither", "on, off")
    age = config.take("MaxAge")
    max_age_s = None if age in (None, "", -1, "-1") else integer(age, 0, MAX_AGE_S)
    if max_age_s is None and age not in (None, "", -1, "-1"):
        config.reject("MaxAge", written(age), "is not a time", f"-1 to {MAX_AGE_S} seconds")
    origins, methods, headers, expose = (
        config.strings(name) for name in ("AllowOrigin", "AllowMethods", "AllowHeaders", "ExposeHeaders")
    )
    policy = Cors(origins or ("*",), methods, headers, expose, credentials == "on", max_age_s)
    names = {
        "origins": "AllowOrigin",
        "methods": "AllowMethods",
        "headers": "AllowHeaders",
        "expose_headers": "ExposeHeaders",
    }
    return policy if config.finish(of_cors(policy), names) else None
