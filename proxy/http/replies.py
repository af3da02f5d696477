"""Responses the gateway makes itself."""

from http import HTTPStatus
from typing import Final

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


def reply(
    status: int,
    date: bytes,
    request_id: bytes,
    detail: str,
    *,
    close: bool,
    head: bool = False,
    retry_after_s: int = 1,
) -> bytes:
    """Return a complete response. `detail` is one sentence for the person who reads it.

    It names no address and no endpoint: what is behind the gateway is not the client's business.
    """
    body = b"%d %b\n%b\n" % (status, _PHRASES.get(status, b""), detail.encode("ascii", "replace"))
    if request_id:
        body += b"request id: %b\n" % request_id
    fields = b"Content-Type: text/plain; charset=utf-8\r\n"
    if status == 503:
        fields = b"Retry-After: %d\r\n" % retry_after_s + fields
    return compose(status, date, fields, body, close=close, head=head)


def compose(status: int, date: bytes, fields: bytes, body: bytes, *, close: bool, head: bool) -> bytes:
    """Return a response with these further field lines. Status 204 and 304 never have a body."""
    has_body = status != 204 and status != 304
    return b"HTTP/1.1 %d %b\r\nServer: fleetgate\r\nDate: %b\r\n%b%b%b\r\n%b" % (
        status,
        _PHRASES.get(status, b""),
        date,
        fields,
        b"Content-Length: %d\r\n" % len(body) if has_body else b"",
        b"Connection: close\r\n" if close else b"",
        body if has_body and not head else b"",
    )
