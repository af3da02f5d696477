"""URLs that clients are sent to, with variables of nginx in them, to redirects.

The part of the URL that names the server may hold the request's host, and groups of the rule's path in front
of a domain that is written out: the annotation decides which servers a redirect can lead to, never the
client.
"""

import re
from typing import Final

from controlplane.translate.annotations.nginx_variables import (
    NAMES,
    VARIABLE,
    VariableProblem,
    template_of,
)
from controlplane.translate.annotations.numbers import integer
from proxy.model.actions import Redirect

ALLOWED: Final = f"a URL that begins with http://, https:// or $scheme://; variables are {NAMES}"

_SERVER = re.compile(
    r"(https?|\$scheme|\$\{scheme\})://((?:[A-Za-z0-9.-]|\$(?:host|http_host)\b|\$\{(?:host|http_host|[1-9])\}|\$[1-9])*)(.*)"
)
_PORT = re.compile(r":([0-9]{1,5})(.*)")
_DOMAIN = re.compile(r"\.[A-Za-z0-9-]+\.[A-Za-z0-9-]+")
_TAIL = re.compile(r"[/?#]|\$\{?(?:request_uri|uri|document_uri|is_args)\b|\$\{?[1-9]|\Z")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_TEXT = re.compile(r"[!-~]+")
_ARGS: Final = "$is_args$args"
_REQUEST_URI: Final = "${request_uri}"


class TargetProblem(ValueError):
    """The text is no URL that clients can be sent to; the message says why."""


def is_url(text: str) -> bool:
    return _SERVER.fullmatch(text) is not None


def redirect_to(text: str, status: int, *, keeps_query: bool = False) -> Redirect:
    """Return the redirect. Raises TargetProblem.

    `keeps_query`: the request's query follows that of the URL, as after a rewrite of nginx; a "?" at the
    end says that it does not.
    """
    match = _SERVER.fullmatch(text)
    if match is None or not _TEXT.fullmatch(text):
        raise TargetProblem("is not a URL to go to")
    host, tail = _host(match[2], match[3])
    port, tail = _port(tail)
    if not _TAIL.match(tail):
        raise TargetProblem("is not a URL to go to")
    if "$" not in text and not keeps_query:
        return Redirect(status, location=text)
    try:
        server = template_of(match[1]), template_of(host), port
        return _redirect(server, template_of(tail.replace(_ARGS, "?$args")), status, keeps_query=keeps_query)
    except VariableProblem as problem:
        raise TargetProblem(str(problem)) from None


def _host(host: str, tail: str) -> tuple[str, str]:
    """Return host and the rest. A group behind the host begins the path, or it could go on with the name."""
    last = list(VARIABLE.finditer(host))[-1:]
    if last and last[0].end() == len(host) and (last[0][1] or last[0][2] or "").isdigit():
        host, tail = host[: last[0].start()], last[0].group() + tail
    groups = [found for found in VARIABLE.finditer(host) if (found[1] or found[2] or "").isdigit()]
    if groups and not _DOMAIN.fullmatch(host[groups[-1].end() :]):
        raise TargetProblem("lets the path of a request say which server its client is sent to")
    if not host or host.endswith((".", "-")):
        raise TargetProblem("names no server")
    return host, tail


def _port(tail: str) -> tuple[str, str]:
    match = _PORT.fullmatch(tail)
    if match is None:
        return "", tail
    if integer(match[1], 1, 65535) is None:
        raise TargetProblem("has a port that is not from 1 to 65535")
    return match[1], match[2]


def _redirect(server: tuple[str, str, str], tail: str, status: int, *, keeps_query: bool) -> Redirect:
    """Return a redirect of templates."""
    protocol, host, port = server
    if "#" in tail:
        return _with_fragment(server, tail, status)
    path, _, query = tail.partition("?")
    if _REQUEST_URI in path:
        path, query = path.replace(_REQUEST_URI, "${path}"), f"{query}&${{query}}"
    elif keeps_query and not tail.endswith("?"):
        query = f"{query}&${{query}}"
    port = port or _DEFAULT_PORTS.get(protocol, "${port}")
    return Redirect(status, protocol, host, port, path, query.strip("&?"))


def _with_fragment(server: tuple[str, str, str], tail: str, status: int) -> Redirect:
    """Return a redirect with a fragment, which is no part of a request: only whole URLs have one."""
    protocol, host, port = server
    if "$" in protocol + host or not tail.startswith("/"):
        raise TargetProblem("has a fragment, and a variable in front of its path")
    origin = f"{protocol}://{host}:{port}" if port else f"{protocol}://{host}"
    return Redirect(status, location=origin + tail)
