"""Hosts and paths of Ingress rules: what they become, and that no text raises anything else."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.paths import PATH_TYPES, PathOptions, PathProblem, parse_path
from controlplane.translate.spelling import literal
from proxy.http.request_line import parse_request_line
from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.match import PathPattern, compile_path

SAFE = "!$&'()*+,;=:@"  # what a path may carry as it is (RFC 3986 §3.3), beside the unreserved


@pytest.mark.parametrize(
    ("path_type", "path", "expected"),
    [
        ("Exact", "/", PathMatch(PathKind.EXACT, "/")),
        ("Exact", "/foo/", PathMatch(PathKind.EXACT, "/foo/")),
        ("Exact", "/a%20b;v=1", PathMatch(PathKind.EXACT, "/a%20b;v=1")),
        ("Prefix", "/", PathMatch(PathKind.PREFIX, "/")),
        ("Prefix", "", PathMatch(PathKind.PREFIX, "/")),
        ("Prefix", "/aaa/bbb/", PathMatch(PathKind.PREFIX, "/aaa/bbb")),
        ("Prefix", "/.well-known", PathMatch(PathKind.PREFIX, "/.well-known")),
        ("ImplementationSpecific", "", PathMatch(PathKind.PREFIX, "/")),
        ("ImplementationSpecific", "/", PathMatch(PathKind.EXACT, "/")),
        ("ImplementationSpecific", "/*", PathMatch(PathKind.GLOB, "/*")),
        ("ImplementationSpecific", "/a?c", PathMatch(PathKind.GLOB, "/a?c")),
        ("ImplementationSpecific", "~^/a+$", PathMatch(PathKind.REGEX, "^/a+$")),
        ("", "~*/A", PathMatch(PathKind.REGEX, "/A", ignore_case=True)),
        # one form for every spelling of a path
        ("Prefix", "/caf%c3%a9", PathMatch(PathKind.PREFIX, "/caf%C3%A9")),
        ("Prefix", "/café", PathMatch(PathKind.PREFIX, "/caf%C3%A9")),
        ("Exact", "/日本", PathMatch(PathKind.EXACT, "/%E6%97%A5%E6%9C%AC")),
        ("Prefix", "/%7Euser/%41", PathMatch(PathKind.PREFIX, "/~user/A")),
        ("Exact", "/%40me/c%2b%2b/%22", PathMatch(PathKind.EXACT, '/@me/c++/"')),
        ("Exact", "/%5ca%3f%2525", PathMatch(PathKind.EXACT, "/%5Ca%3F%2525")),
        ("ImplementationSpecific", "/caf%c3%a9/*", PathMatch(PathKind.GLOB, "/caf%C3%A9/*")),
        ("ImplementationSpecific", "/é?", PathMatch(PathKind.GLOB, "/%C3%A9?")),
        ("ImplementationSpecific", "~/%7e%c3é+[%7e]", PathMatch(PathKind.REGEX, "/\\~%C3(?:%C3%A9)+[%7e]")),
        ("ImplementationSpecific", "~/%5b(a)\\[", PathMatch(PathKind.REGEX, "/\\[(a)\\[")),
    ],
)
def test_paths_become_patterns(path_type: str, path: str, expected: PathMatch) -> None:
    assert parse_path(path_type, path) == expected


@pytest.mark.parametrize(
    ("path_type", "path"),
    [
        ("Exact", ""),
        ("Exact", "foo"),
        ("Exact", "/a*"),
        ("Exact", "/a?b"),
        ("Exact", "/a\n"),
        ("Exact", "/100%"),
        ("Exact", "/a%0"),
        ("Exact", "/a b"),
        ("Prefix", "/%2e%2e/a"),
        ("Prefix", "/a%00"),
        ("Prefix", "/a*"),
        ("Prefix", "//"),
        ("Prefix", "/a/./b"),
        ("Prefix", "/a/.."),
        ("Prefix", "/%2F"),
        ("ImplementationSpecific", "foo"),
        ("ImplementationSpecific", "/a;b"),
        ("ImplementationSpecific", "~"),
        ("ImplementationSpecific", "~*("),
        ("ImplementationSpecific", "~[ä]"),
        ("ImplementationSpecific", "~\\ä"),
        ("ImplementationSpecific", "~\\Qä\\E"),
        ("ImplementationSpecific", "/a*%2a"),
        ("ImplementationSpecific", "~a(?=b)"),
        ("ImplementationSpecific", "~a{2000}"),
        ("ImplementationSpecific", "/" + "a" * 128),
        ("ImplementationSpecific", "~\\u0041"),
    ],
)
def test_paths_that_cannot_be_used(path_type: str, path: str) -> None:
    with pytest.raises(PathProblem) as problem:
        parse_path(path_type, path)
    assert problem.value.allowed


@given(
    st.sampled_from([*PATH_TYPES, ""]),
    st.text() | st.from_regex(r"[~/][~*?/.a%(){}\[\]|+\\0-9-]*", fullmatch=True),
)
@example("", "~" + "(" * 127)
@example("", "~(?i)a")
@example("", "~a(?i)")
def test_a_path_is_refused_or_can_be_compiled(path_type: str, path: str) -> None:
    try:
        match = parse_path(path_type, path)
    except PathProblem:
        return
    assert compile_path(match) is None or isinstance(compile_path(match), PathPattern)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("", ""),
        ("localhost", "localhost"),
        ("Foo.Bar.COM", "foo.bar.com"),
        ("*.foo.com", "*.foo.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.example", "1.example"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "*.",
        "*.*.com",
        "foo.*.com",
        "*foo.com",
        "foo..com",
        ".foo.com",
        "foo.com.",
        "-a.com",
        "a_b.com",
        "a b",
        "1.2.3.4",
        "[::1]",
        "a.com:80",
        "ü.com",
        "a" * 64 + ".com",
        ".".join(["a" * 60] * 5),
        "a.com\n",
    ],
)
def test_hosts_that_cannot_be_used(text: str) -> None:
    with pytest.raises(HostProblem):
        parse_host(text)


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        assert parse_host(text) == text.lower()
    except HostProblem:
        pass


def test_a_full_expression_holds_for_each_side_of_an_alternative() -> None:
    match = parse_path("Prefix", "/a|/b(.)", PathOptions(is_regex=True, is_full=True))
    pattern = PathPattern(match)
    taken = [path for path in (b"/a", b"/abc", b"/bc", b"/bcd", b"/b") if pattern.matches(path)]
    assert taken == [b"/a", b"/bc"]
    assert pattern.groups(b"/bc") == (b"/bc", b"c")


def test_a_literal_path_in_any_case_is_as_long_as_an_expression_may_be() -> None:
    options = PathOptions(ignores_case=True)
    assert parse_path("Exact", "/" + "a" * 400, options).ignore_case
    with pytest.raises(PathProblem, match="repeats too much"):
        parse_path("Exact", "/" + "a" * 4000, options)


MSE = PathOptions(specific_is_prefix=True)


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("/", MSE, PathMatch(PathKind.PREFIX, "/")),
        ("", MSE, PathMatch(PathKind.PREFIX, "/")),
        ("/aaa", MSE, PathMatch(PathKind.PREFIX, "/aaa")),
        ("/aaa/", MSE, PathMatch(PathKind.PREFIX, "/aaa")),
        ("/a[0-9]+", replace(MSE, is_regex=True), PathMatch(PathKind.REGEX, "/a[0-9]+")),
        ("/a(/|$)(.*)", replace(MSE, is_regex_if_special=True), PathMatch(PathKind.REGEX, "/a(/|$)(.*)")),
        ("/v1.0", replace(MSE, is_regex_if_special=True), PathMatch(PathKind.PREFIX, "/v1.0")),
        # ALB takes a pattern for what it is, whatever is rewritten
        ("/a/*", PathOptions(is_regex=True), PathMatch(PathKind.GLOB, "/a/*")),
    ],
)
@pytest.mark.parametrize("path_type", ["ImplementationSpecific", ""])
def test_a_path_of_no_particular_type_is_read_by_its_dialect(
    path_type: str, path: str, options: PathOptions, expected: PathMatch
) -> None:
    assert parse_path(path_type, path, options) == expected


@pytest.mark.parametrize("path", ["/a*", "/a?b", "~/a", "~*/a", "a"])
def test_a_pattern_of_alb_only_is_a_problem_in_mse(path: str) -> None:
    with pytest.raises(PathProblem):
        parse_path("ImplementationSpecific", path, MSE)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("%4")
@example("%25%32%46")
def test_a_rule_in_its_form_is_in_that_form(path: str) -> None:
    assert literal(literal(path)) == literal(path)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FFF), min_size=1, max_size=8))
@example("@+;%")
def test_a_rule_covers_itself_however_it_is_encoded(segment: str) -> None:
    segment = re.sub(r"[/\\.?*#]", "x", segment)
    spellings = {quote(segment, safe=safe) for safe in ("", SAFE)}
    spellings |= {re.sub("%..", lambda octet: octet[0].lower(), each) for each in spellings}
    written = {literal(f"/{quote(segment, safe=safe)}") for safe in ("", SAFE)}
    assert len(written) == 1
    for spelling in spellings:
        line = parse_request_line(f"GET /{spelling} HTTP/1.1".encode())
        assert {line.resource.path.decode()} == written
