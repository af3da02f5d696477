"""Hosts and paths of Ingress rules: what they become, and that no text raises anything else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.translate.hosts import HostProblem, parse_host
from controlplane.translate.paths import PATH_TYPES, PathOptions, PathProblem, parse_path
from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.match import PathPattern, compile_path


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
        ("Exact", "/ü"),
        ("Prefix", "/a*"),
        ("Prefix", "//"),
        ("Prefix", "/a/./b"),
        ("Prefix", "/a/.."),
        ("Prefix", "/%2F"),
        ("ImplementationSpecific", "foo"),
        ("ImplementationSpecific", "/a;b"),
        ("ImplementationSpecific", "~"),
        ("ImplementationSpecific", "~*("),
        ("ImplementationSpecific", "~ä"),
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
