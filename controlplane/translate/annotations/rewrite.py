"""rewrite-target, rewrite-path, upstream-vhost: changed paths and hosts of requests to endpoints."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.nginx_variables import (
    NAMES,
    VariableProblem,
    has_groups,
    template_of,
)
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import ALB, ANY_MSE, VENDOR, Annotation
from controlplane.translate.annotations.targets import TargetProblem, is_url, redirect_to
from controlplane.translate.annotations.templates import ALB_VARIABLES, template_problem
from controlplane.translate.dialects import Dialect
from controlplane.translate.hosts import is_host_field
from controlplane.translate.paths import PathOptions, group_count
from proxy.model.paths import ascii_path
from proxy.model.policies import PathRewriteKind, Rewrite
from proxy.model.snapshot import PathMatch
from proxy.validation.policies import of_rewrite

ALB_TARGET: Final = Annotation(
    "rewrite-target",
    (ALB,),
    Dialect.ALB,
    "asks endpoints for this path; paths of type Prefix are then regular expressions that ignore case",
    type="path",
    allowed=f"/… without ? and #, with each of {', '.join(ALB_VARIABLES)} at most once",
    example="/v2/${1}",
)
ALB_REGEX: Final = Annotation(
    "use-regex",
    (ALB,),
    Dialect.ALB,
    "takes paths of type Prefix as regular expressions that ignore case",
    type="boolean",
    allowed="true, false",
    default="false",
    example="true",
)
_TARGET_ALLOWED: Final = (
    "a path of printable characters without #, with or without a query, or a URL that begins with"
    f" http:// or https://; variables are {NAMES}"
)
_PATH: Final = "a path of printable characters without ?, # and $"

TARGET: Final = Annotation(
    "rewrite-target",
    ANY_MSE,
    Dialect.MSE,
    "is the whole path that endpoints are asked for, or a URL that clients are redirected to with 302; with"
    " $1 the paths of the rules are regular expressions, and so are those with characters that only"
    " expressions have; spelled nginx.ingress.kubernetes.io/, ignoring case; the request's query follows that"
    " of the value, unless that ends in ?",
    "path or URL",
    _TARGET_ALLOWED,
    example="/$2",
)
PREFIX: Final = Annotation(
    "rewrite-path",
    VENDOR,
    Dialect.MSE,
    "replaces, in requests to endpoints, the part of the path that the rule matched",
    "path",
    _PATH,
    example="/v1",
)
HOST: Final = Annotation(
    "upstream-vhost",
    ANY_MSE,
    Dialect.MSE,
    "is the Host header that endpoints get",
    "host",
    "a host name, with or without a port",
    "that of the request",
    example="internal.example.com",
)
ROWS: Final = (ALB_TARGET, ALB_REGEX, TARGET, PREFIX, HOST)

_TARGET = re.compile(r"[/$\\][!-~]*")
_BACKSLASH = re.compile(r"\\([1-9])")
_GROUP = re.compile(r"\$\{([1-9])\}")
_LITERAL = re.compile(r"/[!-~]*")


def apply(reader: Reader, draft: Draft) -> None:
    (_apply_mse if reader.dialect is Dialect.MSE else _apply_alb)(reader, draft)


def missing_group(templates: Iterable[str], path: PathMatch) -> tuple[str, int]:
    """Return the first group in the templates that the path has not, and how many it has; "" for none."""
    wanted = sorted({number for template in templates for number in _GROUP.findall(template)})
    if not wanted:
        return "", 0
    count = group_count(path)
    return next((f"${{{number}}}" for number in wanted if int(number) > count), ""), count


def _apply_alb(reader: Reader, draft: Draft) -> None:
    given = reader.given(ALB_TARGET)
    target = _alb_target(given, reader)
    if target and given is not None:
        draft.rewrite = _checked(given, Rewrite(path=target), reader)
    if target or reader.boolean(ALB_REGEX):
        draft.paths = PathOptions(is_regex=True, regex_ignores_case=True)


def _alb_target(given: Given | None, reader: Reader) -> str:
    if given is None or not given.text:
        return ""
    target = ascii_path(given.text)
    problem = template_problem(target, ALB_VARIABLES)
    if not problem and not target.startswith("/"):
        problem = "does not start with /"
    if not problem and not {"?", "#"}.isdisjoint(target):
        problem = "has a query or a fragment, which are no part of a path"
    if problem:
        reader.reject(given, problem, ALB_TARGET.allowed)
        return ""
    return target


def _apply_mse(reader: Reader, draft: Draft) -> None:
    rewrite = Rewrite(host=_host(reader))
    target = reader.given(TARGET)
    if target is not None:
        reader.idle((PREFIX,), f"{TARGET.name} sets the path")
        text = _BACKSLASH.sub(r"$\1", ascii_path(target.text))  # as Higress writes groups
        try:
            if is_url(text):
                draft.answer = redirect_to(text, 302, keeps_query=True)
            else:
                rewrite = _checked(target, _path_and_query(text, rewrite.host), reader)
        except (TargetProblem, VariableProblem) as problem:
            reader.reject(target, problem, TARGET.allowed)
        draft.paths = replace(
            draft.paths,
            is_regex=has_groups(text),
            is_regex_if_special=True,
            regex_ignores_case=target.is_of_nginx,
        )
    elif (prefix := reader.given(PREFIX)) is not None:
        text = ascii_path(prefix.text)
        if not _LITERAL.fullmatch(text) or not {"?", "#", "$"}.isdisjoint(text):
            reader.reject(prefix, "is not a path", PREFIX.allowed)
        rewrite = _checked(prefix, Rewrite(rewrite.host, text, PathRewriteKind.MATCHED), reader)
    if rewrite != Rewrite():
        draft.rewrite = rewrite


def _path_and_query(text: str, host: str) -> Rewrite:
    """Return the rewrite to a path, with a query if it has one. Raises TargetProblem, VariableProblem."""
    if not _TARGET.fullmatch(text) or "#" in text:
        raise TargetProblem("is not a path")
    path, mark, query = template_of(text).partition("?")
    path = path.replace("${request_uri}", "${path}")
    if not mark:
        return Rewrite(host, path)
    more = "" if text.endswith("?") else "&${query}"  # as nginx has it
    return Rewrite(host, path, query=f"{query}{more}".strip("&?"))


def _checked(given: Given, rewrite: Rewrite, reader: Reader) -> Rewrite:
    """Return the rewrite; without its path, and with a finding, if no request can ever have that path."""
    for found in of_rewrite(Rewrite(path=rewrite.path)):
        reader.reject(given, found.problem, found.allowed)
        return Rewrite(rewrite.host)
    return rewrite


def _host(reader: Reader) -> str:
    given = reader.given(HOST)
    if given is None:
        return ""
    if not is_host_field(given.text):
        reader.reject(given, "is not a host name", HOST.allowed)
        return ""
    return given.text
