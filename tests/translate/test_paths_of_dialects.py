"""What a path of a rule takes in each dialect, from the Ingress to the router."""

from typing import Any

import pytest

from proxy.http.request_headers import parse_headers
from proxy.http.request_line import parse_request_line
from tests.support.mse import ingress, nginx, routed
from tests.support.tables import table_of

HEADERS = parse_headers(b"Host: example.com\r\n")
SPECIFIC = "ImplementationSpecific"


def taken(targets: str, **rule: Any) -> str:
    """Return those of the targets that a rule takes."""
    routes, _ = routed(ingress("web", **rule))
    table = table_of(routes.values())
    found = []
    for target in targets.split():
        line = parse_request_line(f"GET {target} HTTP/1.1".encode())
        if table.find(80, b"example.com", line.resource.path, HEADERS, line, b"192.0.2.1") is not None:
            found.append(target)
    return " ".join(found)


@pytest.mark.parametrize(
    ("path", "targets", "expected"),
    [
        ("/", "/ /aaa /a/b", "/ /aaa /a/b"),
        ("", "/ /aaa", "/ /aaa"),
        ("/api", "/api /api/ /api/v1 /apis /API /", "/api /api/ /api/v1"),
        ("/api/", "/api /api/ /api/v1 /apis", "/api /api/ /api/v1"),
        ("/caf%c3%a9", "/caf%C3%A9 /caf%c3%a9/x /cafe", "/caf%C3%A9 /caf%c3%a9/x"),
        ("/%7Euser", "/~user /%7euser/x /user", "/~user /%7euser/x"),
    ],
)
@pytest.mark.parametrize("path_type", [SPECIFIC, ""])
def test_an_implementation_specific_path_is_a_prefix_in_mse(
    path_type: str, path: str, targets: str, expected: str
) -> None:
    assert taken(targets, path=path, path_type=path_type) == expected


@pytest.mark.parametrize("path_type", [SPECIFIC, "Prefix"])
@pytest.mark.parametrize(
    ("annotations", "path", "targets", "expected"),
    [
        ({"use-regex": "true"}, "/a[0-9]", "/a1 /a1x/y /A1 /ab /x/a1", "/a1 /a1x/y"),
        (nginx({"use-regex": "true"}), "/a[0-9]", "/a1 /a1x/y /A1 /ab /x/a1", "/a1 /a1x/y /A1"),
        (nginx({"use-regex": "true"}), "/", "/ /aaa", "/ /aaa"),
        (nginx({"use-regex": "true"}), "/café", "/caf%c3%a9/x /cafe", "/caf%c3%a9/x"),
        (nginx({"rewrite-target": "/$2"}), "/a(/|$)(.*)", "/a /a/b /A/b /ab", "/a /a/b /A/b"),
        (nginx({"rewrite-target": "/"}), "/a(/|$)(.*)", "/a /a/b /A /ab", "/a /a/b /A"),
        (nginx({"rewrite-target": "/"}), "/a.b", "/a.b /a.b/c /axb", "/a.b /a.b/c"),
        ({"full-path-regex": "true"}, "/a[0-9]", "/a1 /a1/", "/a1"),
        ({"use-regex": "true", "ignore-path-case": "true"}, "/a[0-9]", "/A1", "/A1"),
    ],
)
def test_expressions_begin_where_the_path_begins(
    annotations: dict[str, str], path: str, path_type: str, targets: str, expected: str
) -> None:
    assert taken(targets, annotations=annotations, path=path, path_type=path_type) == expected


def test_a_rule_of_one_ingress_makes_no_expression_of_anothers() -> None:
    routes, _ = routed(
        ingress("regex", nginx({"use-regex": "true"}), path="/a[0-9]"), ingress("plain", path="/a.b")
    )
    assert routes["plain"].path.kind == "prefix"
