"""Where a request ends, as every origin of the measurements reads it."""

import pytest

from loadtest.kit.messages import Requests, whole_request

HEAD = b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3"
WHOLE = HEAD + b"\r\n\r\nabc"


class Noted(Requests):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[bytes] = []

    def on_request(self, received: bytes) -> None:
        self.requests.append(received)


@pytest.mark.parametrize(
    ("received", "end"),
    [
        (b"", -1),
        (HEAD, -1),
        (WHOLE[:-1], -1),
        (WHOLE, len(HEAD)),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 23),
        (b"GET / HTTP/1.1\r\ncontent-length:0\r\n\r\n", 32),
    ],
)
def test_a_request_is_whole_with_its_body(received: bytes, end: int) -> None:
    assert whole_request(received) == end


def test_requests_are_taken_one_at_a_time_however_they_are_cut() -> None:
    connection = Noted()
    for at in range(len(WHOLE)):
        connection.data_received(WHOLE[at : at + 1])
    connection.data_received(WHOLE)
    assert connection.requests == [WHOLE, WHOLE]
