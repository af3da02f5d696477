"""What a check sends, and what it makes of the bytes it gets."""

import h11
import pytest

from controlplane.checks.http import MAX_HEAD, NotHttp, is_head_over, request, status_in
from proxy.model.snapshot import HealthCheck


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("address", "told", "host"),
    [
        ("192.0.2.1", "", b"192.0.2.1"),
        ("2001:db8::1", "", b"[2001:db8::1]"),
        ("192.0.2.1", "shop.example:8080", b"shop.example:8080"),
    ],
)
def test_the_request_is_one_that_h11_understands(
    method: str, version: str, address: str, told: str, host: bytes
) -> None:
    parser = h11.Connection(h11.SERVER)
    check = HealthCheck(method=method, path="/a?b=c", version=version, host=told)
    parser.receive_data(request(check, address))
    sent = parser.next_event()
    assert isinstance(sent, h11.Request)
    assert (sent.method, sent.target, sent.http_version) == (method.encode(), b"/a?b=c", version.encode())
    headers = dict(sent.headers)
    assert headers[b"host"] == host
    assert headers[b"user-agent"] == b"fleetgate-health-check"
    assert headers[b"connection"] == b"close"
    assert (b"content-length" in headers) is (method == "POST")
    assert isinstance(parser.next_event(), h11.EndOfMessage)


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.0 503\r\nServer: x\r\n\r\n", 503),
        (b"HTTP/1.1 404 \r\n", 404),
        (b"HTTP/1.1 200 OK\n", 200),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\nbody", 301),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\n", 500),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 101 Switching\r\n\r\n", 101),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", None),
        (b"HTTP/1.1 103 Early Hints\r\nLink", None),
        (b"HTTP/1.1 200 O", None),
        (b"HT", None),
        (b"", None),
    ],
)
def test_the_status_is_that_of_the_final_response(received: bytes, status: int | None) -> None:
    assert status_in(received) == status
    for end in range(len(received)):
        assert status_in(received[:end]) in (None, status)


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2.0 200 OK\r\n",
        b"HTTP/1.1 abc\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nx",
        b"HTTP/1.1 200 " + b"x" * MAX_HEAD,
        b"HTTP/1.1 100 Continue\r\n" + b"a: b\r\n" * MAX_HEAD,
    ],
    ids=range(9),
)
def test_bytes_that_are_no_response_are_found_out(received: bytes) -> None:
    with pytest.raises(NotHttp):
        status_in(received)


def test_the_end_of_a_head() -> None:
    assert is_head_over(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
    assert is_head_over(b"HTTP/1.1 200 OK\nA: b\n\n")
    assert not is_head_over(b"HTTP/1.1 200 OK\r\nA: b\r\n")
