"""Cuts response heads out of the bytes of a connection, the cheapest way that is right for its endpoint."""

from proxy.http import limits
from proxy.http.errors import ResponseError
from proxy.http.memo import Memo
from proxy.http.response import ResponseHead, parse_response_head


class ResponseHeadReader:
    """Reads the response heads of one connection, one after the other."""

    __slots__ = ("_checked", "_known", "_memo", "head")

    head: ResponseHead  # the head that was read last

    def __init__(self, memo: Memo[ResponseHead]) -> None:
        """`memo`: the heads that all connections of a worker remember."""
        self._memo = memo
        self._known: ResponseHead | None = None  # the head before, where it is remembered
        self._checked = 0  # bytes of an incomplete head that have been looked at

    def read(self, data: bytes, at: int) -> int:
        """Return the end of the head that data[at:] begins with, and set `head`; 0: it is not complete.

        Raises ResponseError.
        """
        known = self._known
        if known is not None:  # comparing costs less than looking for the end
            end = at + len(known.block)
            if data[at:end] == known.block and data[end : end + 2] == b"\r\n":
                self._checked = 0
                return end + 2
        end = data.find(b"\r\n\r\n", at) + 2
        if end < 2:
            self._check_incomplete(data[at:] if at else data)
            return 0
        self._checked = 0
        block = data[at:end]
        head = self._memo.young.get(block) or self._memo.again(block)
        if head is None:
            head = parse_response_head(block)
            if self._memo.offer(block, head):
                head.block = block
        self.head = head
        self._known = head if head.block else None
        return end + 2

    def _check_incomplete(self, data: bytes) -> None:
        """Raise ResponseError for bytes that no HTTP/1 response begins with: their end may never come."""
        if not data.startswith(b"HTTP/1."[: len(data)]):
            raise ResponseError("the response does not begin with HTTP/1")
        checked, self._checked = self._checked, len(data)
        lines_end = data.rfind(b"\r\n") + 2
        most = limits.MAX_HEAD_BYTES if lines_end > 1 else limits.MAX_LINE_BYTES
        if len(data) > most:
            raise ResponseError(f"the response head, or a line of it, is larger than {most} bytes")
        if checked and data.find(b"\n", checked) < 0:
            return  # the next check needs another end of a line
        if lines_end > 1:
            parse_response_head(data[:lines_end])
        elif b"\n" in data:
            raise ResponseError("a line of the response head does not end with CRLF")
