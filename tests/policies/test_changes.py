"""Changes of header lines, of requests and of responses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.grammar import FIELD_LINE
from proxy.http.response import parse_response_head
from proxy.model.conditions import HeaderCondition, TextKind
from proxy.model.policies import HeaderChange, HeaderOperation, ResponseRule, ValueSource
from proxy.policies.changes import Changes
from proxy.policies.errors import PolicyError
from proxy.policies.requests import RequestChanges, without_body
from proxy.policies.responses import ResponseChanges, Rule
from tests.support.policies import asked

SET, ADD, DEFAULT, REMOVE = HeaderOperation

LINES = ["Host: a", "X-A: 1", "x-a: 2", "X-B: 3"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((HeaderChange(SET, "X-A", "9"),), ["Host: a", "X-B: 3", "X-A: 9"]),
        ((HeaderChange(SET, "X-C", "9"),), [*LINES, "X-C: 9"]),
        ((HeaderChange(ADD, "X-A", "9"),), [*LINES, "X-A: 9"]),
        ((HeaderChange(DEFAULT, "X-A", "9"),), LINES),
        ((HeaderChange(DEFAULT, "X-C", "9"),), [*LINES, "X-C: 9"]),
        ((HeaderChange(REMOVE, "X-a"),), ["Host: a", "X-B: 3"]),
        ((HeaderChange(REMOVE, "X"),), LINES),
        ((HeaderChange(ADD, "X-C", "9"), HeaderChange(REMOVE, "X-C")), LINES),
        ((HeaderChange(REMOVE, "X-B"), HeaderChange(DEFAULT, "X-B", "9")), [*LINES[:3], "X-B: 9"]),
        ((HeaderChange(SET, "X-C", "user-agent", ValueSource.HEADER),), [*LINES, "X-C: curl"]),
        ((HeaderChange(SET, "X-A", "x-none", ValueSource.HEADER),), LINES),
        ((HeaderChange(SET, "X-C", "", ValueSource.CLIENT_ADDRESS),), [*LINES, "X-C: 192.0.2.1"]),
        ((HeaderChange(SET, "X-C", "", ValueSource.CLIENT_PORT),), [*LINES, "X-C: 40000"]),
        ((HeaderChange(SET, "X-C", "", ValueSource.PROTOCOL),), [*LINES, "X-C: http"]),
        ((HeaderChange(SET, "X-C", "", ValueSource.LISTENER_PORT),), [*LINES, "X-C: 8001"]),
    ],
)
def test_changes(changes: tuple[HeaderChange, ...], expected: list[str]) -> None:
    request = asked("/", "User-Agent: curl")
    lines = Changes(changes).apply([line.encode() for line in LINES], request)
    assert [line.decode() for line in lines] == expected


def test_templates_are_filled_for_each_request() -> None:
    changes = Changes((HeaderChange(SET, "X-Forwarded-Prefix", "/${1}/${host}", ValueSource.TEMPLATE),))
    made = RequestChanges(None, changes)
    assert made.has_groups
    for group in ("shop", "blog"):
        block = made.fields(asked("/", groups=("/", group)), b"")
        assert f"X-Forwarded-Prefix: /{group}/shop.example.com\r\n" in block.decode()


@given(st.text())
def test_no_group_ends_a_line(group: str) -> None:
    changes = Changes((HeaderChange(SET, "X-Forwarded-Prefix", "/${1}", ValueSource.TEMPLATE),))
    request = asked("/")
    request.groups = (b"/", group.encode("utf-8", "replace"))
    (line, *others) = changes.apply([], request) or [b""]
    assert not others
    assert not line or FIELD_LINE.fullmatch(line)


@pytest.mark.parametrize(
    "name",
    ["Host", "connection", "Content-Length", "Transfer-Encoding", "Upgrade", "TE", "Keep-Alive", "", "a b",
     "a_b", "X-A\r\nX-B", "X-A:", "é"],
)  # fmt: skip
@pytest.mark.parametrize("operation", list(HeaderOperation))
def test_names_that_cannot_be_changed(operation: HeaderOperation, name: str) -> None:
    with pytest.raises(PolicyError):
        Changes((HeaderChange(operation, name, "x"),))


@given(st.text())
def test_a_value_is_one_line_or_none(value: str) -> None:
    try:
        changes = Changes((HeaderChange(SET, "X-C", value),))
    except PolicyError:
        return
    except UnicodeEncodeError:  # lone surrogates cannot come out of a snapshot
        return
    (line,) = changes.apply([], asked("/"))
    assert FIELD_LINE.fullmatch(line)


def block(changes: Changes, *fields: str, own: bytes = b"X-Forwarded-For: 192.0.2.1\r\n") -> list[str]:
    return RequestChanges(None, changes).fields(asked("/", *fields), own).decode().split("\r\n")[:-1]


def test_a_request_is_changed_after_its_connection_field() -> None:
    changes = Changes((HeaderChange(SET, "X-User", "gateway"),))
    assert block(changes, "Connection: x-user", "X-User: client") == [
        "Host: shop.example.com", "X-Forwarded-Host: shop.example.com", "X-User: gateway",
        "X-Forwarded-For: 192.0.2.1",
    ]  # fmt: skip


def test_forwarded_fields_of_the_gateway_can_be_changed() -> None:
    changes = Changes((HeaderChange(SET, "X-Forwarded-For", "hidden"),))
    assert block(changes) == [
        "Host: shop.example.com", "X-Forwarded-Host: shop.example.com", "X-Forwarded-For: hidden",
    ]  # fmt: skip


def test_a_remembered_block_keeps_no_other_client() -> None:
    changes = RequestChanges(None, Changes((HeaderChange(SET, "X-C", "", ValueSource.CLIENT_ADDRESS),)))
    one, other = asked("/"), asked("/", client="192.0.2.2")
    other.headers = one.headers
    one.headers.is_remembered = True
    assert b"X-C: 192.0.2.1\r\n" in changes.fields(one, b"")
    assert b"X-C: 192.0.2.2\r\n" in changes.fields(other, b"")


def test_a_block_is_changed_once_for_clients_that_repeat_it() -> None:
    changes = RequestChanges(None, Changes((HeaderChange(SET, "X-C", "x-a", ValueSource.HEADER),)))
    one, other = asked("/", "X-A: 1"), asked("/", "X-A: 2")
    one.headers.is_remembered = other.headers.is_remembered = True
    for _ in range(2):
        assert b"X-C: 1\r\n" in changes.fields(one, b"")
        assert b"X-C: 2\r\n" in changes.fields(other, b"")


def test_a_request_without_its_body() -> None:
    lines = b"Host: a\r\nContent-Type: x\r\nX: y\r\nTransfer-Encoding: chunked\r\ncontent-length: 3\r\n"
    assert without_body(lines) == b"Host: a\r\nX: y\r\n"


@pytest.mark.parametrize(
    ("statuses", "headers", "status", "holds"),
    [
        ((), (), 200, True),
        ((404, 500), (), 200, False),
        ((404, 500), (), 404, True),
        ((), (HeaderCondition("x-kind", ("a*",)),), 200, True),
        ((), (HeaderCondition("x-kind", ("b*",)),), 200, False),
        ((), (HeaderCondition("x-other", ("*",)),), 200, False),
        ((404,), (HeaderCondition("x-kind", ("a*",)),), 200, False),
        ((), (HeaderCondition("x-kind", ("a[a-z]+",), TextKind.REGEX),), 200, True),
    ],
)
def test_response_rules(
    statuses: tuple[int, ...], headers: tuple[HeaderCondition, ...], status: int, holds: bool
) -> None:
    rule = ResponseRule((HeaderChange(SET, "X-C", "1"),), statuses, headers)
    head = parse_response_head(b"HTTP/1.1 %d X\r\nX-Kind: abc\r\nContent-Length: 3\r\n" % status)
    changed = ResponseChanges(None, None, [Rule(rule)]).head(head, asked("/"))
    assert (b"\r\nX-C: 1\r\n" in changed.start) == holds
    assert changed.whole == changed.start + b"Content-Length: 3\r\n\r\n"


def test_rules_see_the_response_before_each_other() -> None:
    rules = [
        Rule(ResponseRule((HeaderChange(ADD, "X-A", "1"),))),
        Rule(ResponseRule((HeaderChange(SET, "X-B", "1"),), (), (HeaderCondition("x-a", ("*",)),))),
    ]
    changed = ResponseChanges(None, None, rules).head(parse_response_head(b"HTTP/1.1 200 OK\r\n"), asked("/"))
    assert b"X-A: 1" in changed.start
    assert b"X-B" not in changed.start


def test_a_response_that_repeats_a_request_field_is_made_for_each_request() -> None:
    changes = Changes((HeaderChange(SET, "X-C", "x-a", ValueSource.HEADER),))
    both = ResponseChanges(None, changes, [])
    head = parse_response_head(b"HTTP/1.1 200 OK\r\n")
    assert b"X-C: 1\r\n" in both.head(head, asked("/", "X-A: 1")).start
    assert b"X-C: 2\r\n" in both.head(head, asked("/", "X-A: 2")).start
