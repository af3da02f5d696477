"""No spelling of a path passes one rule and reaches an endpoint as the path of another rule.

The servers below are what endpoints do to a request target, written independently of the gateway.
"""

import os
import posixpath
import re
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.translate.spelling import literal
from proxy.downstream.spelling import settled
from proxy.http.errors import RequestError
from proxy.http.request_headers import parse_headers
from proxy.http.request_line import RequestLine, parse_request_line
from proxy.model.snapshot import PathKind, Route
from tests.support.snapshots import route
from tests.support.tables import table_of

EXAMPLES = int(os.environ.get("FLEETGATE_FUZZ_EXAMPLES", "2000"))
PORT = 80
HEADERS = parse_headers(b"Host: a\r\n")
CLIENT = b"192.0.2.1"

RULES = [
    route(PORT, "/"),
    route(PORT, "/public"),
    route(PORT, "/public/b"),
    route(PORT, "/admin"),
    route(PORT, "/admin/x", kind=PathKind.EXACT),
    route(PORT, "/b/admin"),
]
SOME_RULES = RULES[1:]
WRITTEN = ["/café", "/@me", "/c++", "/x;y", "/q%22", "/a%20b", "/public/%7Eb", "/100%25"]
RESPELLED_RULES = [*RULES, *(route(PORT, literal(path)) for path in WRITTEN)]

Server = Callable[[str], str]


def cleaned(path: str) -> str:
    """Go's ServeMux: slashes merged, dot segments resolved, never above the root; a last slash is kept."""
    clean = "/" + posixpath.normpath("/" + path.lstrip("/")).lstrip("/")
    return clean + "/" if path.endswith(("/", "/.", "/..")) and clean != "/" else clean


def without_parameters(path: str) -> str:
    return re.sub(r";[^/]*", "", path)


SERVERS: dict[str, Server] = {
    "takes it as it comes": lambda target: target,
    "merges slashes": lambda target: re.sub("/+", "/", target),
    "resolves, then merges": lambda target: cleaned(urlsplit("http://a" + target).path),
    "decodes, then cleans (Go, WSGI)": lambda target: cleaned(unquote(target)),
    "cuts parameters, decodes, cleans (Tomcat)": lambda target: cleaned(unquote(without_parameters(target))),
    "decodes, cuts parameters, cleans": lambda target: cleaned(without_parameters(unquote(target))),
    "knows the backslash (Windows)": lambda target: cleaned(unquote(target).replace("\\", "/")),
    "reads a URL reference (WHATWG, RFC 3986)": lambda target: cleaned(urlsplit(target).path),
    "reads a URL reference and decodes": lambda target: cleaned(unquote(urlsplit(target).path)),
}


def rule_of(rules: list[Route], path: str, *, decoded: bool) -> str | None:
    """The rule that an administrator means by a path that an endpoint serves, decoded or not."""
    path = re.sub("/+", "/", path)
    best = None
    for rule in rules:
        value = rule.path.value.rstrip("/")
        if decoded:
            value = unquote(value)
        is_exact = rule.path.kind is PathKind.EXACT
        matches = path == value or (not is_exact and (path + "/").startswith(value + "/"))
        if matches and (best is None or (is_exact, len(value)) > best[0]):
            best = (is_exact, len(value)), rule.id
    return best[1] if best is not None else None


def forwarded(rules: list[Route], target: str) -> tuple[str, str] | None:
    """The rule that a target takes and the path that its endpoint gets, None where it is refused."""
    try:
        line = parse_request_line(f"GET {target} HTTP/1.1".encode())
    except RequestError:
        return None
    table: Any = table_of(rules)
    plan = table.find(PORT, b"a", line.resource.path, HEADERS, line, CLIENT)
    if plan is None:
        return None
    found = settled(table, PORT, line, HEADERS, CLIENT, plan)
    if found is None:
        return None
    return cast(str, plan), path_of(found)


def path_of(line: RequestLine) -> str:
    return line.forward.split(b" ")[1].partition(b"?")[0].decode()


pieces = st.sampled_from(
    ["/", "/", "/", "a", "b", "admin", "public", "x", ".", "..", "%2e", "%2E.", "%2f", "%2F", "%5c", ";",
     ";x", "%3b", "..;", "%61dmin", "//", "caf%c3%a9", "caf%C3%A9", "%40me", "@me", "c%2b+", "%63++", "x%3by",
     'q"', "q%22", "a%20b", "~b", "%7eb", "100%25"]
)  # fmt: skip
targets = st.lists(pieces, max_size=12).map(lambda parts: "/" + "".join(parts))


@settings(max_examples=EXAMPLES)
@given(targets)
@example("//public/admin")
@example("/public/..;/admin")
@example("/public/..%2fadmin")
@example("/public%2f..%2fadmin")
@example("/public/..%5cadmin")
@example("/admin%2fx")
@example("/%2fadmin")
@example("/admin;x")
@example("/;x/admin")
@example("/public/%2e%2e/admin")
@example("/public//..//admin")
@example("/public/../..//admin")
@example("/b/..//b/admin")
@example("/public/..%2f..%2fetc")
@example("/%2e%2e;/admin")
@example("/public;/..%2fadmin")
@example("/%61dmin/x/")
@example("/admin/x;")
@example("/admin/x%2f")
@example("/caf%c3%a9")
@example("/%40me/x")
@example("/c%2b%2b")
@example("/x%3by")
@example('/q"')
@example("/public/%7Eb")
def test_no_spelling_passes_one_rule_as_another(target: str) -> None:
    for rules in (RULES, SOME_RULES, RESPELLED_RULES):
        taken = forwarded(rules, target)
        if taken is None:
            continue
        rule, path = taken
        for name, server in SERVERS.items():
            decoded = "decodes" in name or "Windows" in name
            if "%" in path and not decoded and rules is RESPELLED_RULES:
                continue  # a rule for a character is none for servers to which its encoding is another
            read = rule_of(rules, server(path), decoded=decoded)
            assert read in (rule, None), f"{name} reads {server(path)!r} in {path!r}, sent by rule {rule}"


@settings(max_examples=EXAMPLES)
@given(targets)
def test_a_forwarded_path_has_one_normal_form(target: str) -> None:
    taken = forwarded(RULES, target)
    if taken is not None:
        assert forwarded(RULES, taken[1]) == taken


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/public/https://a.example//x", "/public/https://a.example//x"),
        ("/public//", "/public//"),
        ("/public/a%2Fb", "/public/a%2Fb"),
        ("/public/a;v=1/b;v=2", "/public/a;v=1/b;v=2"),
        ("/public/;x", "/public/;x"),
        ("//x", "//x"),  # whatever it is read as, the rule / takes it
        ("/%2Fx", "/%2Fx"),
        ("//public/x", "/public/x"),  # read as a URL its path were /x, of another rule
        ("//admin", "/admin"),
        ("///admin", "///admin"),
    ],
)
def test_paths_reach_the_endpoint_as_they_came(target: str, path: str) -> None:
    taken = forwarded(RULES, target)
    assert taken is not None
    assert taken[1] == path


@pytest.mark.parametrize(
    "target",
    [
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/..%2fadmin",
        "/public%2f..%2fadmin",
        "/public/%5c..%5cadmin",
        "/admin%2fx",
        "/%2fadmin",
        "/public%2fb",
        "/admin;x",
        "/admin;x/y",
        "/admin%3bx/y",
    ],
)
def test_a_path_of_two_meanings_is_refused(target: str) -> None:
    assert forwarded(RULES, target) is None


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("/caf%c3%a9/x", "/caf%C3%A9"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/%40me", "/@me"),
        ("/%63%2B+/x", "/c++"),
        ('/q"', '/q"'),
        ("/q%22/", '/q"'),
        ("/a%20b", "/a%20b"),
        ("/public/~b", "/public/~b"),
        ("/%70ublic/%7eb", "/public/~b"),
        ("/100%25", "/100%25"),
        ("/100%2525", "/"),
        ("/cafe", "/"),
    ],
)
def test_every_spelling_of_a_rule_takes_it_and_is_forwarded_as_it_came(target: str, rule: str) -> None:
    taken = forwarded(RESPELLED_RULES, target)
    assert taken is not None
    plan, path = taken
    assert plan == f"demo/ing{rule}"
    assert unquote(path) == unquote(target)
