"""Responses that the gateway makes itself, as a head and a body."""

from http import HTTPStatus
from typing import Final

from proxy.http.framing import UNTIL_CLOSE
from proxy.http.response import SERVER_LINE, ResponseHead

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}

OwnResponse = tuple[ResponseHead, bytes]


def refusal(status: int, request_id: bytes, detail: str, *, retry_after_s: int = 1) -> OwnResponse:
    """Return an error. `detail` is one sentence for the person who reads the response.

    The sentence names no address and no endpoint: the client need not know the gateway's backends.
    """
    body = b"%d %b\n%b\n" % (status, _PHRASES.get(status, b""), detail.encode("ascii", "replace"))
    if request_id:
        body += b"request id: %b\n" % request_id
    fields = b"Content-Type: text/plain; charset=utf-8\r\n"
    if status == 503:
        fields = b"Retry-After: %d\r\n" % retry_after_s + fields
    return own_response(status, fields, body)


def own_response(status: int, fields: bytes, body: bytes) -> OwnResponse:
    """Return a response with these further field lines. Status 204 and 304 never have a body."""
    head = ResponseHead(status)
    has_body = not head.has_no_body
    head.length = len(body) if has_body else UNTIL_CLOSE
    head.start = b"HTTP/1.1 %d %b\r\n%b%b" % (status, _PHRASES.get(status, b""), SERVER_LINE, fields)
    return head, body if has_body else b""
