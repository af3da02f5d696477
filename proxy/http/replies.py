"""Responses the gateway makes itself."""

from http import HTTPStatus
from typing import Final

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


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
    body = b"%d %b\n%b\n" % (status, HTTPStatus(status).phrase.encode(), detail.encode("ascii", "replace"))
    if request_id:
        body += b"request id: %b\n" % request_id
    retry_after = b"Retry-After: %d\r\n" % retry_after_s if status == 503 else b""
    return b"HTTP/1.1 %d %b\r\nServer: fleetgate\r\nDate: %b\r\n%b%b%b\r\n%b" % (
        status,
        HTTPStatus(status).phrase.encode(),
        date,
        retry_after,
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body),
        b"Connection: close\r\n" if close else b"",
        b"" if head else body,
    )
