"""Patterns that users write: what they match, what is refused by name, and that none can take long."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.conditions import TextKind
from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.match import PathPattern, RouteError, compile_path
from proxy.routing.patterns import (
    Texts,
    compile_globs,
    compile_regex,
    glob_beginning,
    regex_beginning,
)

LONG = 8000


def path_pattern(kind: PathKind, value: str, *, ignore_case: bool = False) -> PathPattern:
    pattern = compile_path(PathMatch(kind, value, ignore_case))
    assert pattern is not None
    return pattern


@pytest.mark.parametrize("pattern", ["(", "a{2000}", "[", "(?:(?:[a-z]{100}){9}){9}", r"\q"])
def test_text_that_is_no_regular_expression_is_a_route_error(pattern: str) -> None:
    with pytest.raises(RouteError, match=f"path {re.escape(repr(pattern))} is no regular expression: ."):
        compile_path(PathMatch(PathKind.REGEX, pattern))


@pytest.mark.parametrize(
    "pattern", ["/a(?=b)", "/a(?!b)", "/(?<=a)b", "/(?<!a)b", r"/(a)\1", "/(?P<x>a)(?P=x)"]
)
def test_syntax_that_re2_does_not_have_is_named(pattern: str) -> None:
    with pytest.raises(RouteError, match="RE2 has no look-around, no atomic groups and no back-references"):
        compile_path(PathMatch(PathKind.REGEX, pattern))


def test_an_error_that_has_nothing_to_do_with_it_does_not_mention_look_around() -> None:
    with pytest.raises(RouteError, match=r"missing \): \($"):
        compile_path(PathMatch(PathKind.REGEX, "("))


def test_an_expression_that_is_too_large_for_a_long_path_is_refused() -> None:
    """Linear, but with a large factor: this one takes 0.3 s for a path of 8 KB."""
    with pytest.raises(RouteError, match=r"it repeats too much: 90[0-9]+ instructions, at most 1000 are run"):
        compile_path(PathMatch(PathKind.REGEX, "/.*(.{0,500}a){2}z"))
    compile_path(PathMatch(PathKind.REGEX, "/[a-z0-9-]{1,63}/[^/]{1,40}/"))


def test_regular_expressions_take_linear_time() -> None:
    """A backtracking matcher tries 2^8000 ways to divide the run of letters here."""
    path = b"/" + b"a" * LONG + b"!"
    assert not path_pattern(PathKind.REGEX, "/(a+)+$").matches(path)
    assert path_pattern(PathKind.REGEX, "/(a+)+$").groups(path) == ()
    assert not Texts(TextKind.REGEX, ["(a+)+"]).match(path[1:])
    assert isinstance(compile_regex("(a+)+"), type(re2.compile(b"a")))


def test_globs_take_linear_time() -> None:
    """With `.*` for each star, `re` would try 8000^30 / 30! ways."""
    path = b"/" + b"a" * LONG
    assert not path_pattern(PathKind.GLOB, "/" + "*a" * 30 + "b").matches(path)
    assert path_pattern(PathKind.GLOB, "/" + "*a" * 30).matches(path)
    assert not Texts(TextKind.GLOB, ["*a" * 30 + "b", "*a?" * 30 + "b"]).match(path)


def takes(glob: str, text: str) -> bool:
    """The definition of a glob, by induction."""
    if not glob:
        return not text
    if glob[0] == "*":
        return takes(glob[1:], text) or (bool(text) and takes(glob, text[1:]))
    return bool(text) and glob[0] in ("?", text[0]) and takes(glob[1:], text[1:])


GLOBS = st.text(alphabet="ab*?.\n", max_size=7)
SUBJECTS = st.text(alphabet="ab.\n", max_size=9)


@given(st.lists(GLOBS, min_size=1, max_size=3), SUBJECTS)
def test_globs_match_what_their_definition_says(globs: list[str], text: str) -> None:
    wanted = any(takes(glob, text) for glob in globs)
    assert (compile_globs(globs).match(text.encode()) is not None) == wanted
    assert Texts(TextKind.GLOB, globs).match(text.encode()) == wanted


@pytest.mark.parametrize(
    ("kind", "pattern", "value", "matches"),
    [
        (TextKind.EXACT, "a*", "a*", True),
        (TextKind.EXACT, "a*", "ab", False),
        (TextKind.PREFIX, "a", "ab", True),
        (TextKind.PREFIX, "a*", "ab", False),
        (TextKind.PREFIX, "b", "ab", False),
        (TextKind.GLOB, "a*", "ab", True),
        (TextKind.GLOB, "a", "A", False),
        (TextKind.GLOB, "*", "\xff", True),
        (TextKind.REGEX, "a+", "aa", True),
        (TextKind.REGEX, "a+", "aab", False),  # of the whole value
        (TextKind.REGEX, "a|ab", "ab", True),
        (TextKind.REGEX, "b", "ab", False),
        (TextKind.REGEX, "M.ller", "Müller", True),  # a character, not an octet
        (TextKind.REGEX, "(?i)a", "A", True),
    ],
)
def test_kinds_of_text(kind: TextKind, pattern: str, value: str, matches: bool) -> None:
    assert Texts(kind, ["-", pattern]).match(value.encode()) == matches


@pytest.mark.parametrize(
    ("value", "path", "groups"),
    [
        ("/v([0-9]+)/(.*)", "/v1/a/b", ("/v1/a/b", "1", "a/b")),
        ("/v([0-9]+)", "/v12/rest", ("/v12", "12")),  # anchored at the start, not at the end
        ("/(a)|/(b)", "/b", ("/b", "", "b")),
        ("/a", "/a", ("/a",)),
        ("/a", "/b", ()),
        ("a", "/a", ()),
    ],
)
def test_groups(value: str, path: str, groups: tuple[str, ...]) -> None:
    pattern = path_pattern(PathKind.REGEX, value)
    assert pattern.groups(path.encode()) == tuple(group.encode() for group in groups)
    assert pattern.matches(path.encode()) == bool(groups)


def test_a_glob_matches_the_whole_path() -> None:
    assert path_pattern(PathKind.GLOB, "/a*").groups(b"/a/b") == (b"/a/b",)
    assert path_pattern(PathKind.GLOB, "/a*").groups(b"/b") == ()


@pytest.mark.parametrize("kind", [PathKind.GLOB, PathKind.REGEX])
def test_case(kind: PathKind) -> None:
    assert path_pattern(kind, "/a?", ignore_case=True).matches(b"/AB"[: 3 if kind is PathKind.GLOB else 2])
    assert not path_pattern(kind, "/a?b").matches(b"/ABB")


@pytest.mark.parametrize("kind", [PathKind.EXACT, PathKind.PREFIX])
def test_a_path_that_is_looked_up_has_no_pattern(kind: PathKind) -> None:
    assert compile_path(PathMatch(kind, "/a")) is None


@pytest.mark.parametrize(
    ("expression", "beginning"),
    [
        ("/pay(/|$)(.*)", "/pay"),
        ("/a" + "(" * 900 + "b" + ")" * 900, "/a"),
        ("/a" + "(" * 900 + "b" + ")" * 900 + "|/c", "/"),
        ("/a" + "(b|" * 20 + "c" + ")" * 20, "/"),  # more than is looked into: no more is promised
        (r"/aaaa\Q(\E|/.*", "/"),
        (r"/aaaa(\()|/(.*)", "/"),
        ("/aaaa[(]|/.*[)]", "/"),
    ],
    ids=range(7),
)
def test_each_path_of_an_expression_begins_with_its_beginning(expression: str, beginning: str) -> None:
    assert regex_beginning(expression) == beginning


PIECES = (
    "/",
    "a",
    "b",
    "ab",
    "(",
    ")",
    "(?:",
    "[",
    "]",
    "|",
    "*",
    "+",
    "?",
    "{0,2}",
    ".",
    "$",
    "\\(",
    "\\Q",
    "\\E",
)


@given(
    st.lists(st.sampled_from(PIECES), max_size=8).map(lambda pieces: "/" + "".join(pieces)),
    st.sampled_from([PathKind.REGEX, PathKind.GLOB]),
    st.lists(st.text(alphabet="/ab()|", max_size=4).map(lambda rest: "/" + rest), min_size=8, max_size=8),
)
def test_no_path_that_matches_begins_with_anything_else(value: str, kind: PathKind, paths: list[str]) -> None:
    try:
        pattern = path_pattern(kind, value)
    except RouteError:
        return
    beginning = glob_beginning(value) if kind is PathKind.GLOB else regex_beginning(value)
    for path in (*paths, "/", "/a", "/ab", "/b", "/aab"):
        assert not pattern.matches(path.encode()) or path.startswith(beginning), (value, path)
