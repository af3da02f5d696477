"""The head of a request as endpoints get it."""

from base64 import b64encode
from os import urandom
from typing import Final

from proxy.http.forwarded import numbered
from proxy.http.request_line import HTTP_2
from proxy.policies.requests import without_body
from proxy.request.marks import copy_mark
from proxy.request.policy import PolicyPass
from proxy.request.record import RequestRecord

_UPGRADE: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def request_head(record: RequestRecord) -> bytes:
    """Return the complete head for the attempt that is about to be sent."""
    headers, policy, history = record.headers, record.policy, record.history
    upgrade = _upgrade(record) if headers.control.upgrade and record.asks_for_tunnel else b""
    if policy is None:
        head = b"%b%b%b%bX-Request-Id: %b\r\n\r\n" % (
            record.line.forward,
            headers.forward,
            upgrade,
            record.client.forwarded,
            record.request_id,
        )
    else:
        head = _changed_head(record, policy, upgrade)
    return head if history is None else numbered(head, history.attempts + 1)


def _upgrade(record: RequestRecord) -> bytes:
    """Return the lines that ask for a WebSocket. The key is ours where the client has none (RFC 8441 §5)."""
    if record.line.version != HTTP_2:
        return _UPGRADE
    return b"%bSec-WebSocket-Key: %b\r\n" % (_UPGRADE, b64encode(urandom(16)))


def copy_head(record: RequestRecord, policy: PolicyPass) -> bytes:
    """Return the complete head of a copy for a mirror: the one of the original, marked."""
    return b"%b%b\r\n" % (_changed_head(record, policy, b"")[:-2], copy_mark(record.headers))


def _changed_head(record: RequestRecord, policy: PolicyPass, upgrade: bytes) -> bytes:
    fields = policy.fields(b"%bX-Request-Id: %b\r\n" % (record.client.forwarded, record.request_id))
    if record.error_status:
        method = b"HEAD" if record.is_head else b"GET"
        return b"%b / HTTP/1.1\r\n%b%b\r\n" % (method, without_body(fields), _error(record, policy))
    return b"%b%b%b\r\n" % (policy.request_line, fields, upgrade)


def _error(record: RequestRecord, policy: PolicyPass) -> bytes:
    """Return the field lines that tell the backend of an error page of the error, as ingress-nginx does."""
    accept = policy.asked.header(b"accept")
    return b"X-Code: %d\r\nX-Original-URI: %b\r\n%b" % (
        record.error_status,
        record.line.forward.split(b" ")[1],
        b"X-Format: %b\r\n" % accept if accept else b"",
    )
