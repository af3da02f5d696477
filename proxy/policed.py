"""What the policies of its route, and of its listener, make of a request and its response.

`asked` is None for a request that neither concerns; then nothing here is called.
"""

from math import inf
from typing import Final

from proxy.backlog import body_cost
from proxy.http.chunked import decode_whole
from proxy.http.errors import RequestError
from proxy.http.response import CHUNKED, ResponseHead
from proxy.mirror import MARK_NAME, copy_mark, is_own_copy, mirror
from proxy.policies.answers import Refusal
from proxy.policies.asked import Asked
from proxy.policies.compression import LEAST_BYTES, Compressor, accepts_gzip, compress
from proxy.policies.gate import Verdict
from proxy.policies.requests import without_body
from proxy.policies.route import RoutePolicies
from proxy.record import RequestRecord
from proxy.upstream.retries.rules import REPLAY_BYTES

_NO_PATH: Final = Verdict(Refusal(400, "The rewritten path climbs above the root."), "DPE")


class PolicedRequest(RequestRecord):
    """A request, as far as policies go."""

    __slots__ = ()

    # Before an attempt

    def _ask(self) -> None:
        client = self.client
        self.asked = Asked(
            self.line, self.headers, client.scheme, client.address, client.client_port, client.listener_port
        )

    def _pass(self, policies: RoutePolicies) -> Verdict | None:
        """Return who answers instead of an endpoint; None: the request goes on, changed as it is to be."""
        asked = self.asked
        assert asked is not None
        policies.look_at(asked)
        gate = policies.gate
        if gate is not None:
            verdict = gate.enter(asked, self.started)
            if verdict is not None:
                return verdict
            self.gate = gate
        if policies.request is not None:
            try:
                self.forward = policies.request.line(asked)
            except RequestError:
                return _NO_PATH
        mirroring = self.plan.mirroring
        if mirroring is not None and self._may_be_copied() and mirroring.is_due():
            self.mirroring = mirroring
        return None

    def _may_be_copied(self) -> bool:
        headers = self.headers
        if headers.control.upgrade:
            return False
        marks = headers.values(MARK_NAME)
        return not marks or not (self.client.speaks_for or is_own_copy(marks))

    # The request

    def _changed_head(self, upgrade: bytes) -> bytes:
        """Return the head of the request as the endpoint gets it, complete."""
        asked, policies = self.asked, self.plan.policies
        assert asked is not None
        own = b"%bX-Request-Id: %b\r\n" % (self.client.forwarded, self.request_id)
        fields = self.headers.forward + own
        if policies is not None and policies.request is not None:
            fields = policies.request.fields(asked, own)
        if self.fallback_code:
            return b"%b / HTTP/1.1\r\n%b%b\r\n" % (
                b"HEAD" if self.is_head else b"GET", without_body(fields), self._reason(asked),
            )  # fmt: skip
        return b"%b%b%b\r\n" % (self.forward or self.line.forward, fields, upgrade)

    def _reason(self, asked: Asked) -> bytes:
        """Return what the backend of an error page is told, as ingress-nginx's are."""
        accept = asked.header(b"accept")
        return b"X-Code: %d\r\nX-Original-URI: %b\r\n%b" % (
            self.fallback_code,
            self.line.forward.split(b" ")[1],
            b"X-Format: %b\r\n" % accept if accept else b"",
        )

    def _mirror(self) -> None:
        """The request is complete: send the copy, if it is to be copied."""
        mirroring, self.mirroring = self.mirroring, None
        if mirroring is None:
            return
        request = None
        if self.body is not None and self.body_bytes <= REPLAY_BYTES:
            self.plane.backlog.left -= body_cost(self.body_bytes)
            head = self._changed_head(b"")
            mark = copy_mark(self.headers.values(MARK_NAME))
            request = b"%b%b\r\n%b" % (head[:-2], mark, b"".join(self.body))
        copy = mirror(self.plane, mirroring, request, is_head=self.is_head)
        if copy is not None:
            self.cancel_copy = copy.cancel

    def _changed_deadline(self) -> float:
        """Return until when the response to an attempt that is sent now must have begun."""
        try_timeout_s = self.plan.retry.try_timeout_s
        whole = self._whole_deadline()
        if try_timeout_s is None:
            return whole
        if not self.deadline:
            self.deadline = whole  # of all attempts together
        return min(self.deadline, self.plane.wheel.now + try_timeout_s)

    def _whole_deadline(self) -> float:
        """Return until when the response must have begun if the endpoint has all of the request now."""
        timeout_s = self.plan.response_timeout_s
        if self.asked is None or timeout_s is None:
            return self.client.response_deadline()
        return self.plane.wheel.now + timeout_s if timeout_s else inf

    # The response

    def _changed_response(self, head: ResponseHead) -> ResponseHead:
        """Return the head as this route's clients get it."""
        asked, policies = self.asked, self.plan.policies
        if asked is None or policies is None or policies.response is None:
            return head
        return policies.response.head(head, asked)

    def _changed_reply(self, wire: bytes, status: int) -> bytes:
        asked, policies = self.asked, self.plan.policies
        if asked is None or policies is None or policies.response is None:
            return wire
        return policies.response.reply(wire, status, asked)

    def _compressed_stream(self, head: ResponseHead) -> ResponseHead:
        """Begin to compress, if the body that follows is to be."""
        if not self.client.gzip:
            return head
        variants = self.plane.compression.variants(head)
        if variants.compressed is None or not self._takes_gzip():
            return variants.plain
        self.compressor = Compressor()
        return variants.compressed

    def _compressed_whole(self, head: ResponseHead, data: bytes, at: int, size: int) -> bytes | None:
        """Return the body, compressed, if it is to be; then variants(head).compressed is its head."""
        if size < LEAST_BYTES or not self._takes_gzip():
            return None
        body = data[at:]
        return compress(decode_whole(body) if head.length == CHUNKED else body)

    def _takes_gzip(self) -> bool:
        asked = self.asked
        if asked is None or self.client.version == 0 or self.is_head:
            return False
        return accepts_gzip(asked.header(b"accept-encoding"))
