"""Answers to requests that have no exchange: no route, refused, or not understood."""

from typing import Final

from proxy.dataplane import DataPlane
from proxy.http.replies import refusal
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.request.downstream import Downstream
from proxy.telemetry.access_log import NO_HEADERS, NO_RESOURCE


class Answer:
    """A response without a route."""

    __slots__ = ("closes", "detail", "flag", "status")

    def __init__(self, status: int, flag: str, detail: str, *, closes: bool = False) -> None:
        """`flag` is one of proxy.model.flags, "" where the request is accounted elsewhere.

        `detail` is a sentence for the person who reads the response. The connection `closes` with it.
        """
        self.status = status
        self.flag = flag
        self.detail = detail
        self.closes = closes


NOT_HTTPS: Final = Answer(
    400, "DPE", "The request target is an https URL, and the request did not come over HTTPS.", closes=True
)
FORBIDDEN: Final = Answer(403, "AD", "Clients of this address may not come here.")
LAST_HOP: Final = Answer(200, "LR", "This is the last hop.")
LOOP: Final = Answer(508, "LD", "The request has passed this gateway before, or too many others.")
NO_ROUTE: Final = Answer(404, "NR", "No route matches.")
MISDIRECTED: Final = Answer(
    421, "MD", "The TLS of this connection is that of another host: open a new connection.", closes=True
)
STALE: Final = Answer(503, "", "The gateway is overloaded.")  # counted by the listener
AMBIGUOUS: Final = Answer(
    400, "DPE", "Servers read this path differently, and what they read takes different routes.", closes=True
)


def too_large(most: int) -> Answer:
    """Return the answer to a body of more than `most` bytes."""
    return Answer(413, "DPE", f"The body is larger than {most} bytes.")


def refused(status: int, flag: str, detail: str) -> Answer:
    """Return an answer that closes the connection; `detail` may lack its capital letter and its full stop."""
    return Answer(status, flag, detail[:1].upper() + detail[1:].rstrip(".") + ".", closes=True)


def give(
    plane: DataPlane, downstream: Downstream, answer: Answer, line: RequestLine | None = None,
    headers: RequestHeaders | None = None,
) -> None:  # fmt: skip
    """Write an answer, count and log it. `line` and `headers` are missing where no head was understood."""
    head, body = refusal(answer.status, headers.request_id if headers is not None else b"", answer.detail)
    downstream.respond(head, b"" if line is not None and line.resource.is_head else body, 0)
    if answer.flag:
        _account(plane, downstream, answer, line, headers)


def _account(
    plane: DataPlane, downstream: Downstream, answer: Answer, line: RequestLine | None,
    headers: RequestHeaders | None,
) -> None:  # fmt: skip
    client = downstream.client
    plane.counters.local.record(client.listener, "", "", answer.status, answer.flag, 0.0, 0, 0)
    if plane.log is not None:
        plane.log.request(
            client=client.log,
            status=answer.status,
            flag=answer.flag,
            snapshot=plane.version,
            resource=line.resource.log if line is not None else NO_RESOURCE,
            version=line.version if line is not None else 1,
            headers=headers.control.log if headers is not None else NO_HEADERS,
            request_id=headers.request_id if headers is not None else b"",
        )
