"""CORS: which origin is permitted what, as browsers read it."""

import pytest

from proxy.http.response import parse_response_head
from proxy.model.policies import Cors
from proxy.policies.asked import Asked
from proxy.policies.cors import CorsPolicy
from proxy.policies.errors import PolicyError
from proxy.policies.responses import ResponseChanges
from tests.support.policies import asked, parsed

A, B = "https://a.example", "https://b.example"


def preflight(origin: str = A, method: str = "PUT", headers: str = "") -> Asked:
    fields = [f"Origin: {origin}", f"Access-Control-Request-Method: {method}"]
    if headers:
        fields.append(f"Access-Control-Request-Headers: {headers}")
    return asked("/", *fields, method="OPTIONS")


def answer(cors: Cors, request: Asked) -> dict[str, list[str]]:
    policy = CorsPolicy(cors)
    assert policy.is_preflight(request)
    head, content = policy.message(request, b"", b"")
    status, fields, body = parsed(head.text(1, b"now", keep=True) + content)
    assert (status, body) == (204, b"")
    return {name: values for name, values in fields.items() if name not in ("server", "date")}


def response(cors: Cors, request: Asked, *fields: str) -> dict[str, list[str]]:
    block = "".join(f"{field}\r\n" for field in ("HTTP/1.1 200 OK", "Server: x", *fields)).encode()
    head = ResponseChanges(CorsPolicy(cors), None, []).head(parse_response_head(block), request)
    found = parsed(head.start + b"\r\n")[1]
    return {name: values for name, values in found.items() if name != "server"}


ALL = Cors(methods=("GET", "PUT"), headers=("X-A", "X-B"), max_age_s=60)
VARY = ["Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]


@pytest.mark.parametrize(
    ("cors", "request_", "expected"),
    [
        (ALL, preflight(),
         {"access-control-allow-origin": [A], "access-control-allow-credentials": ["true"],
          "access-control-allow-methods": ["GET, PUT"], "access-control-allow-headers": ["X-A, X-B"],
          "access-control-max-age": ["60"]}),
        (Cors(credentials=False, methods=("GET",)), preflight(),
         {"access-control-allow-origin": ["*"], "access-control-allow-methods": ["GET"]}),
        (Cors(credentials=False, methods=("*",), headers=("*",)), preflight(headers="x-a"),
         {"access-control-allow-origin": ["*"], "access-control-allow-methods": ["*"],
          "access-control-allow-headers": ["*"]}),
        (Cors(methods=("*",), headers=("*",)), preflight(headers="x-a, x-b"),
         {"access-control-allow-origin": [A], "access-control-allow-credentials": ["true"],
          "access-control-allow-methods": ["PUT"], "access-control-allow-headers": ["x-a, x-b"]}),
        (Cors(origins=(B,), methods=("GET",)), preflight(), {}),
        (Cors(origins=(B, A), methods=("GET",), credentials=False), preflight(),
         {"access-control-allow-origin": [A], "access-control-allow-methods": ["GET"]}),
        (Cors(origins=("https://*.example",), methods=("GET",), credentials=False), preflight(),
         {"access-control-allow-origin": [A], "access-control-allow-methods": ["GET"]}),
        (Cors(origins=("https://*.example",), methods=("GET",)), preflight("https://a.example.test"), {}),
        (Cors(origins=("https://*.example",), methods=("GET",)), preflight("https://evil.test/.example"), {}),
        (Cors(origins=(A,), methods=("GET",)), preflight("null"), {}),
        (Cors(methods=(), headers=()), preflight(method="P UT", headers="a b"),
         {"access-control-allow-origin": [A], "access-control-allow-credentials": ["true"]}),
    ],
)  # fmt: skip
def test_preflights(cors: Cors, request_: Asked, expected: dict[str, list[str]]) -> None:
    assert answer(cors, request_) == {"vary": VARY, **expected}


@pytest.mark.parametrize(
    "request_",
    [
        asked("/", f"Origin: {A}", method="OPTIONS"),
        asked("/", "Access-Control-Request-Method: GET", method="OPTIONS"),
        asked("/", f"Origin: {A}", "Access-Control-Request-Method: GET", method="POST"),
    ],
)
def test_a_request_that_is_no_preflight_goes_on(request_: Asked) -> None:
    assert not CorsPolicy(ALL).is_preflight(request_)


@pytest.mark.parametrize(
    ("cors", "origin", "fields", "expected"),
    [
        (Cors(), A, (),
         {"access-control-allow-origin": [A], "access-control-allow-credentials": ["true"],
          "vary": ["Origin"]}),
        (Cors(credentials=False), A, (), {"access-control-allow-origin": ["*"]}),
        (Cors(expose_headers=("X-A", "X-B"), credentials=False), A, (),
         {"access-control-allow-origin": ["*"], "access-control-expose-headers": ["X-A, X-B"]}),
        (Cors(origins=(A,), credentials=False), B, (), {"vary": ["Origin"]}),
        (Cors(origins=(A,)), "", (), {"vary": ["Origin"]}),
        (Cors(origins=(A,), credentials=False), A, ("Vary: Accept, origin",),
         {"access-control-allow-origin": [A], "vary": ["Accept, origin"]}),
        (Cors(origins=(A,), credentials=False), A, ("Vary: Accept",),
         {"access-control-allow-origin": [A], "vary": ["Accept", "Origin"]}),
        (Cors(origins=(A,), credentials=False), B,
         ("Access-Control-Allow-Origin: *", "access-control-allow-credentials: true"), {"vary": ["Origin"]}),
    ],
)  # fmt: skip
def test_responses(cors: Cors, origin: str, fields: tuple[str, ...], expected: dict[str, list[str]]) -> None:
    request = asked("/", *([f"Origin: {origin}"] if origin else []))
    assert response(cors, request, *fields) == expected


def test_one_origin_is_not_given_what_another_was() -> None:
    changes = ResponseChanges(CorsPolicy(Cors(origins=(A, B), credentials=False)), None, [])
    head = parse_response_head(b"HTTP/1.1 200 OK\r\n")
    for origin in (A, B, A, "https://c.example"):
        wire = changes.head(head, asked("/", f"Origin: {origin}")).start + b"\r\n"
        expected = [origin] if origin in (A, B) else None
        assert parsed(wire)[1].get("access-control-allow-origin") == expected


def test_names_that_are_none() -> None:
    with pytest.raises(PolicyError, match="X-A\\\\r"):
        CorsPolicy(Cors(headers=("X-A\r\nSet-Cookie: a=b",)))


@pytest.mark.parametrize("origin", ["https://a b", "https://a.example/x", "a,b", "", "https://é.example"])
def test_origins_that_are_none(origin: str) -> None:
    with pytest.raises(PolicyError, match="is not an origin"):
        CorsPolicy(Cors(origins=(origin,)))


def test_an_origin_with_many_stars_takes_time_in_proportion() -> None:
    """`re` went back further for each star: 6 of them and an origin of 60 octets took 3 s."""
    policy = CorsPolicy(Cors(origins=("https://" + "*a" * 40 + "b",)))
    assert not policy.lines(asked("/", f"Origin: https://{'a' * 4000}"))
    assert policy.lines(asked("/", f"Origin: https://{'a' * 4000}b"))
