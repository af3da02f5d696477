"""The policies of a route and of a listener, applied to one request and its response."""

from collections.abc import Callable
from typing import Final

from proxy.backlog import Backlog
from proxy.http.chunked import decode_whole
from proxy.http.errors import RequestError
from proxy.http.framing import CHUNKED
from proxy.http.request_headers import RequestHeaders
from proxy.http.request_line import RequestLine
from proxy.http.response import ResponseHead
from proxy.policies.answers import Refusal
from proxy.policies.asked import Asked
from proxy.policies.compression import LEAST_BYTES, Compression, Compressor, accepts_gzip, compress
from proxy.policies.gate import Gate, Verdict
from proxy.policies.route import RoutePolicies
from proxy.request.downstream import ClientInfo
from proxy.request.marks import may_be_copied
from proxy.upstream.mirroring import Mirroring

_NO_PATH: Final = Verdict(Refusal(400, "The rewritten path climbs above the root."), "DPE")
LOG_COMPRESSED_UNIT: Final = 11  # bytes that cost as much as a message, when they are compressed


class PolicyPass:
    """One request on its way through the policies; only requests that any policy concerns have one."""

    __slots__ = ("_client", "_gate", "_policies", "asked", "cancel_copy", "mirroring", "request_line")

    def __init__(
        self, line: RequestLine, headers: RequestHeaders, client: ClientInfo, policies: RoutePolicies | None
    ) -> None:
        """`policies`: those of the route; None where only the listener has policies."""
        self.asked = Asked(line, headers, client.scheme, client.address, client.port, client.listener_port)
        self._client = client
        self._policies = policies
        self._gate: Gate | None = None  # counts the request as in flight
        self.request_line = line.forward  # as the endpoint gets it
        self.mirroring: Mirroring | None = None  # mirror that gets a copy once the request is complete
        self.cancel_copy: Callable[[], None] | None = None  # cancels a copy that may be under way

    # The request

    def enter(self, now: float, mirroring: Mirroring | None) -> Verdict | None:
        """Return the policies' own answer; None where the request goes on, changed."""
        policies = self._policies
        if policies is None:
            return None
        policies.look_at(self.asked)
        gate = policies.gate
        if gate is not None:
            verdict = gate.enter(self.asked, now)
            if verdict is not None:
                return verdict
            self._gate = gate
        if policies.request is not None:
            try:
                self.request_line = policies.request.line(self.asked)
            except RequestError:
                return _NO_PATH
        if mirroring is not None and may_be_copied(self.asked.headers, is_proxy=self._client.is_proxy):
            self.mirroring = mirroring if mirroring.is_due() else None
        return None

    def fields(self, own: bytes) -> bytes:
        """Return all field lines for the endpoint; the gateway adds `own` to every request."""
        policies = self._policies
        if policies is None or policies.request is None:
            return self.asked.headers.forward + own
        return policies.request.fields(self.asked, own)

    # The response

    def response_head(self, head: ResponseHead) -> ResponseHead:
        """Return an endpoint's head as clients of the route get it."""
        policies = self._policies
        if policies is None or policies.response is None:
            return head
        return policies.response.head(head, self.asked)

    def own_head(self, head: ResponseHead) -> ResponseHead:
        """Return the head of the gateway's own response as clients of the route get it."""
        policies = self._policies
        if policies is None or policies.response is None:
            return head
        return policies.response.own_head(head, self.asked)

    def compressed_stream(
        self, head: ResponseHead, compression: Compression
    ) -> tuple[ResponseHead, Compressor | None]:
        """Return the head for a body that is streamed, and the compressor for the body if it needs one."""
        if not self._client.compresses:
            return head, None
        variants = compression.variants(head)
        if variants.compressed is None or not self._takes_gzip():
            return variants.plain, None
        return variants.compressed, Compressor()

    def compressed_whole(
        self, head: ResponseHead, data: bytes, at: int, size: int, compression: Compression,
        backlog: Backlog, *, is_decoded: bool,
    ) -> tuple[ResponseHead, bytes | None]:  # fmt: skip
        """Return the head for a whole body, and the body where it is compressed.

        The body is data[at:], `size` bytes without its framing; see `ResponseSink.on_response`.
        """
        if not self._client.compresses:
            return head, None
        variants = compression.variants(head)
        if variants.compressed is None:
            return variants.plain, None
        backlog.left -= size >> LOG_COMPRESSED_UNIT
        if size < LEAST_BYTES or not self._takes_gzip():
            return variants.plain, None
        body = data[at:]
        is_in_chunks = head.length == CHUNKED and not is_decoded
        compressed = compress(decode_whole(body) if is_in_chunks else body)
        return variants.compressed.of_length(len(compressed)), compressed

    def _takes_gzip(self) -> bool:
        line = self.asked.line
        if line.version == 0 or line.resource.is_head:
            return False
        return accepts_gzip(self.asked.header(b"accept-encoding"))

    # The end

    def leave(self) -> None:
        """Count the request as in flight no more."""
        if self._gate is not None:
            self._gate.leave()

    def cancel(self) -> None:
        """Cancel a copy: the client has gone before it had all of the response."""
        if self.cancel_copy is not None:
            self.cancel_copy()
