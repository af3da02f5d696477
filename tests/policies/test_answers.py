"""Redirects and fixed responses: what is written for which request."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.actions import FixedResponse, Redirect
from proxy.policies.answers import FixedAnswer, OwnAnswer, RedirectAnswer
from proxy.policies.asked import Asked
from proxy.policies.errors import PolicyError
from tests.support.policies import asked, parsed


def location(redirect: Redirect, request: Asked) -> str:
    return RedirectAnswer(redirect).location(request).decode()


def wire(answer: OwnAnswer, request: Asked, *, close: bool = False) -> bytes:
    head, body = answer.message(request, b"", b"")
    text = head.text(1, b"Thu, 01 Jan 1970 00:00:00 GMT", keep=not close)
    return text if request.line.resource.is_head else text + body  # as an exchange writes it


@pytest.mark.parametrize(
    ("redirect", "request_", "expected"),
    [
        (Redirect(301), asked("/a?b=c"), "http://shop.example.com/a?b=c"),
        (Redirect(301), asked("/a"), "http://shop.example.com/a"),
        (Redirect(301), asked("/a?"), "http://shop.example.com/a"),
        (Redirect(301), asked("/a", host="Shop.example.com:8001"), "http://shop.example.com:8001/a"),
        (Redirect(301, port="80"), asked("/a", host="a:8001"), "http://a/a"),
        (Redirect(308, protocol="HTTPS", port="443"), asked("/a?x"), "https://shop.example.com/a?x"),
        (Redirect(308, protocol="https"), asked("/a"), "https://shop.example.com/a"),
        (Redirect(308, protocol="https"), asked("/a", host="a:8001"), "https://a:8001/a"),
        (Redirect(302, protocol="http", port="443"), asked("/"), "http://shop.example.com:443/"),
        (Redirect(301), asked("/a", scheme="https"), "https://shop.example.com/a"),
        (Redirect(301), asked("/a", host="[::1]:81"), "http://[::1]:81/a"),
        (Redirect(301, host="www.${host}"), asked("/"), "http://www.shop.example.com/"),
        (Redirect(301, host="a:8443"), asked("/", host="b:8001"), "http://a:8443/"),
        (Redirect(301, "https", "a:8443", "8443"), asked("/"), "https://a:8443/"),
        (Redirect(301, "https", "a:443"), asked("/", host="b:8001"), "https://a/"),
        (Redirect(301, "https", "${host}:8443"), asked("/", host="b:8001"), "https://b:8443/"),
        (Redirect(301, host="${host}:${port}"), asked("/", host="b:8001"), "http://b:8001/"),
        (Redirect(301, path="/new${path}"), asked("/a/b"), "http://shop.example.com/new/a/b"),
        (Redirect(301, path="//evil.example"), asked("/"), "http://shop.example.com/evil.example"),
        (Redirect(301, query=""), asked("/a?b"), "http://shop.example.com/a"),
        (Redirect(301, query="${query}&v=2"), asked("/a?b"), "http://shop.example.com/a?b&v=2"),
        (Redirect(301, query="${query}&v=2"), asked("/a"), "http://shop.example.com/a?v=2"),
        (Redirect(301, path="/u/${1}", query="p=${2}"), asked("/x", groups=("/x", "7", "8")),
         "http://shop.example.com/u/7?p=8"),
        (Redirect(301, path="/u/${3}"), asked("/x", groups=("/x", "7")), "http://shop.example.com/u/"),
        (Redirect(302, location="https://other.example/x?y#z"), asked("/a"), "https://other.example/x?y#z"),
        (Redirect(302, location="https://other.example${path}"), asked("/a"), "https://other.example/a"),
        (Redirect(301, "https", "b.example", "443", "${1}", ""), asked("/x", groups=("/x", ".evil.example")),
         "https://b.example/.evil.example"),
        (Redirect(301, "https", "b.example", "443", "${1}", ""), asked("/x", groups=("/x", "//evil.example")),
         "https://b.example/evil.example"),
        (Redirect(301, "https", "${1}.b.example", "443", "/", ""), asked("/x", groups=("/x", "evil/")), "/"),
        (Redirect(302, path="/", query="to=${request_uri}"), asked("/a?b=c&d"),
         "http://shop.example.com/?to=/a?b=c&d"),
        (Redirect(302, path="/", query="to=${request_uri}"), asked("/a"), "http://shop.example.com/?to=/a"),
        (Redirect(301, path="/grün und blau"), asked("/"), "http://shop.example.com/gr%C3%BCn%20und%20blau"),
    ],
)  # fmt: skip
def test_location(redirect: Redirect, request_: Asked, expected: str) -> None:
    assert location(redirect, request_) == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_whole_answers(status: int) -> None:
    code, fields, body = parsed(wire(RedirectAnswer(Redirect(status)), asked("/a")))
    assert (code, fields["location"], fields["content-length"], body) == (
        status, ["http://shop.example.com/a"], ["0"], b"",
    )  # fmt: skip
    assert "connection" not in fields


@given(st.text(), st.text(), st.text())
def test_no_template_ends_a_line(path: str, query: str, group: str) -> None:
    request = asked("/x")
    request.groups = (b"/x", group.encode("utf-8", "replace"))
    redirect = Redirect(302, path=f"{_plain(path)}${{1}}", query=f"{_plain(query)}${{1}}")
    answer = wire(RedirectAnswer(redirect), request)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/x", headers=[("Host", "a")]))
    client.receive_data(answer)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert [name for name, _ in response.headers] == [b"server", b"location", b"date", b"content-length"]
    assert not set(RedirectAnswer(redirect).location(request)) & set(b' \r\n\t"<>\\^`{|}')


def _plain(text: str) -> str:
    return text.replace("$", "").encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("redirect", "complaint"),
    [
        (Redirect(300), "status '300'"),
        (Redirect(301, protocol="ftp"), "protocol 'ftp'"),
        (Redirect(301, host="a b"), "host 'a b'"),
        (Redirect(301, host="#{host}"), "host '#{host}'"),
        (Redirect(301, host="${path}"), "host '${path}'"),
        (Redirect(301, host="a:0"), "host 'a:0'"),
        (Redirect(301, host="a:8443", port="8444"), "port '8444' contradicts"),
        (Redirect(301, port=" 80"), "port ' 80'"),
        (Redirect(301, port="٨٠"), "port '٨٠'"),
        (Redirect(301, port="x"), "port 'x'"),
        (Redirect(301, port="70000"), "port '70000'"),
        (Redirect(301, path="/${user}"), "variable ${user}"),
        (Redirect(301, path="/${0}"), "variable ${0}"),
    ],
)
def test_redirects_that_cannot_be_used(redirect: Redirect, complaint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        RedirectAnswer(redirect)
    assert complaint in str(caught.value)


def test_fixed_response() -> None:
    answer = FixedAnswer(FixedResponse(503, "back soon", "text/html"))
    status, fields, body = parsed(wire(answer, asked("/"), close=True))
    assert (status, fields["content-type"], fields["content-length"], body) == (
        503, ["text/html"], ["9"], b"back soon",
    )  # fmt: skip
    assert fields["connection"] == ["close"]
    assert parsed(wire(answer, asked("/", method="HEAD")))[1:] == (
        {k: v for k, v in fields.items() if k != "connection"}, b"",
    )  # fmt: skip


@pytest.mark.parametrize("status", [204, 304])
def test_fixed_responses_without_body(status: int) -> None:
    code, fields, body = parsed(wire(FixedAnswer(FixedResponse(status, "ignored")), asked("/")))
    assert (code, body) == (status, b"")
    assert "content-length" not in fields


def test_a_fixed_response_says_how_its_text_is_encoded() -> None:
    _, fields, body = parsed(wire(FixedAnswer(FixedResponse(200, "grün")), asked("/")))
    assert (fields["content-type"], body.decode()) == (["text/plain; charset=utf-8"], "grün")


def test_an_unknown_status_has_no_phrase() -> None:
    assert wire(FixedAnswer(FixedResponse(599)), asked("/")).startswith(b"HTTP/1.1 599 \r\n")


@pytest.mark.parametrize(
    "fixed",
    [FixedResponse(199), FixedResponse(600), FixedResponse(200, "x", "text/plain\r\nSet-Cookie: a=b")],
)
def test_fixed_responses_that_cannot_be_used(fixed: FixedResponse) -> None:
    with pytest.raises(PolicyError):
        FixedAnswer(fixed)
