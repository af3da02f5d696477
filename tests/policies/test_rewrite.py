"""What the endpoint is asked for."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.errors import RequestError
from proxy.model.policies import PathRewriteKind, Rewrite
from proxy.model.snapshot import PathKind, PathMatch
from proxy.policies.asked import Asked
from proxy.policies.errors import PolicyError
from proxy.policies.requests import RequestChanges
from proxy.policies.rewrite import Rewriter
from tests.support.policies import asked

MATCHED = PathRewriteKind.MATCHED
ROOT, FOO = PathMatch(PathKind.PREFIX, "/"), PathMatch(PathKind.PREFIX, "/foo")
REGEX = PathMatch(PathKind.REGEX, "/foo/(.*)")


def target(rewrite: Rewrite, path: PathMatch, request: Asked) -> str:
    line = Rewriter(rewrite, path).line(request)
    assert line.startswith(request.method + b" ")
    assert line.endswith(b" HTTP/1.1\r\n")
    return line[len(request.method) + 1 : -len(" HTTP/1.1\r\n")].decode()


@pytest.mark.parametrize(
    ("rewrite", "path", "request_", "expected"),
    [
        (Rewrite(path="/new"), ROOT, asked("/a?b"), "/new?b"),
        (Rewrite(path="/new"), ROOT, asked("/a"), "/new"),
        (Rewrite(path="new"), ROOT, asked("/a"), "/new"),
        (Rewrite(path="/v1${path}"), ROOT, asked("/a"), "/v1/a"),
        (Rewrite(path="/${1}/x"), REGEX, asked("/foo/a/b", groups=("/foo/a/b", "a/b")), "/a/b/x"),
        (Rewrite(path="/${1}"), REGEX, asked("/foo/", groups=("/foo/", "")), "/"),
        (Rewrite(path="/bar", path_kind=MATCHED), FOO, asked("/foo"), "/bar"),
        (Rewrite(path="/bar", path_kind=MATCHED), FOO, asked("/foo/x?y"), "/bar/x?y"),
        (Rewrite(path="/bar/", path_kind=MATCHED), FOO, asked("/foo/x"), "/bar/x"),
        (Rewrite(path="/", path_kind=MATCHED), FOO, asked("/foo"), "/"),
        (Rewrite(path="/", path_kind=MATCHED), FOO, asked("/foo/x"), "/x"),
        (Rewrite(path="/bar", path_kind=MATCHED), ROOT, asked("/x"), "/bar/x"),
        (Rewrite(path="/bar", path_kind=MATCHED), PathMatch(PathKind.EXACT, "/foo"), asked("/foo"), "/bar"),
        (Rewrite(path="/bar", path_kind=MATCHED), PathMatch(PathKind.REGEX, "/fo+"),
         asked("/foo/x", groups=("/foo",)), "/bar/x"),
        (Rewrite(query=""), ROOT, asked("/a?b"), "/a"),
        (Rewrite(query="${query}&v=2"), ROOT, asked("/a?b"), "/a?b&v=2"),
        (Rewrite(query="${query}&v=2"), ROOT, asked("/a"), "/a?v=2"),
        (Rewrite(query="p=${path}"), ROOT, asked("/a%20b"), "/a%20b?p=/a%20b"),
        (Rewrite(path="/a b?c#d\r\nX: y"), ROOT, asked("/"), "/a%20b%3Fc%23d%0D%0AX:%20y"),
        (Rewrite(path="/100%"), ROOT, asked("/"), "/100%25"),
        (Rewrite(path="/${1}.${2}"), REGEX, asked("/", groups=("/", ".", "/x")), None),
        (Rewrite(path="/a/${1}${2}"), REGEX, asked("/", groups=("/", ".", "./x")), "/x"),
        (Rewrite(host="b.example"), ROOT, asked("/a?b"), "/a?b"),
        # What the client encoded stays encoded, however the rule was matched
        (Rewrite(path="/bar", path_kind=MATCHED), FOO, asked("/foo/%40a%2b%c3%a9"), "/bar/%40a%2B%C3%A9"),
        (Rewrite(path="/bar", path_kind=MATCHED), PathMatch(PathKind.PREFIX, "/@foo"),
         asked("/%40foo/%22"), "/bar/%22"),
        (Rewrite(path="/v1${path}"), ROOT, asked("/%40a%2B"), "/v1/%40a%2B"),
    ],
)  # fmt: skip
def test_targets(rewrite: Rewrite, path: PathMatch, request_: Asked, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(RequestError):
            target(rewrite, path, request_)
    else:
        assert target(rewrite, path, request_) == expected


def test_a_request_for_the_server_stays_one() -> None:
    assert target(Rewrite(path="/new"), ROOT, asked("*", method="OPTIONS")) == "*"


@pytest.mark.parametrize(
    ("template", "expected"),
    [("b.example", "b.example"), ("b.example:81", "b.example:81"), ("v2.${host}", "v2.shop.example.com"),
     ("${1}", "shop.example.com")],
)  # fmt: skip
def test_hosts(template: str, expected: str) -> None:
    changes = RequestChanges(Rewriter(Rewrite(host=template), ROOT), None)
    block = changes.fields(asked("/", "X-A: 1", groups=("/", "a b")), b"X-Z: 2\r\n")
    assert block.decode() == (
        f"Host: {expected}\r\nX-A: 1\r\nX-Forwarded-Host: shop.example.com\r\nX-Z: 2\r\n"
    )


@pytest.mark.parametrize(
    "rewrite",
    [
        Rewrite(host="a b"),
        Rewrite(host="a\r\nX: y"),
        Rewrite(path="/${nothing}"),
        Rewrite(query="${}"),
        Rewrite(host="${path}"),
        Rewrite(host="a:0"),
        Rewrite(host="a:70000"),
        Rewrite(path="/../a"),
        Rewrite(path="/a/%2E./../b"),
        Rewrite(path="/../${1}"),
        Rewrite(path="/%00"),
    ],
)
def test_rewrites_that_cannot_be_used(rewrite: Rewrite) -> None:
    with pytest.raises(PolicyError):
        Rewriter(rewrite, ROOT)


octets = st.text(st.characters(codec="latin-1"))


@given(octets, octets, octets)
def test_the_endpoint_sees_one_well_formed_request(path: str, query: str, group: str) -> None:
    request = asked("/x")
    request.groups = (b"/x", group.encode("latin-1"))
    rewrite = Rewrite(host="${1}", path=path.replace("$", "") + "${1}", query=query.replace("$", "") + "${1}")
    changes = RequestChanges(Rewriter(rewrite, ROOT), None)
    try:
        wire = changes.line(request) + changes.fields(request, b"X-Own: 1\r\n") + b"\r\n"
    except RequestError:
        return
    server = h11.Connection(h11.SERVER)
    server.receive_data(wire)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert [name for name, _ in event.headers] == [b"host", b"x-forwarded-host", b"x-own"]
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert server.trailing_data == (b"", False)
    assert wire.count(b" ") == wire[: wire.index(b"\r\n")].count(b" ") + 3 == 5
