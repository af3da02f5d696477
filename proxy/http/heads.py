"""Cuts request heads out of the bytes of a connection, the cheapest way that is right for its client."""

from typing import Final

from proxy.http import limits
from proxy.http.edges import Edges, find_edges
from proxy.http.memo import Memo
from proxy.http.request import check_incomplete, check_together
from proxy.http.request_headers import RequestHeaders, parse_headers
from proxy.http.request_line import RequestLine, parse_request_line

_MOST_OF_ONE: Final = limits.MAX_HEAD_BYTES + limits.MAX_LINE_BYTES  # more of a head than is ever accepted
_MOST_SEARCHES: Final = 16  # searches for the common lines of the heads of one connection
_USELESS: Final = 8  # edges, after so many blocks in a row that had been remembered whole (0.3 µs each)


class Heads:
    """Request lines and header blocks that all connections of a worker remember."""

    __slots__ = ("blocks", "lines")

    def __init__(self) -> None:
        self.lines: Memo[RequestLine] = Memo()
        self.blocks: Memo[RequestHeaders] = Memo()


class HeadReader:
    """Reads the heads of one connection, one after the other."""

    __slots__ = ("_edges", "_heads", "_known", "_repeats", "_searches", "headers", "line")

    line: RequestLine
    headers: RequestHeaders

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._edges: Edges | None = None
        self._known: RequestHeaders | None = None  # of the head before, where they are remembered
        self._searches = 0
        self._repeats = 0  # repeated heads since the edges were of use

    def read(self, data: bytes, checked: int, at: int = 0) -> int:
        """Return the end of the head that data[at:] begins with, and set `line` and `headers`.

        0: it is not complete; its first `checked` bytes have been looked at before. Raises RequestError.
        """
        line_end = data.find(b"\r\n", at) if at else data.find(b"\r\n")  # the limit costs 0.05 µs
        known = self._known
        if known is not None:  # comparing costs a tenth of looking for the end and hashing
            end = line_end + 2 + len(known.block)
            if data[line_end + 2 : end] == known.block and data[end : end + 2] == b"\r\n":
                raw = data[at:line_end]
                self._accept(self._heads.lines.young.get(raw) or self._read_line(raw), known)
                return end + 2
        if self._edges is not None and not at:  # behind another request all that follows would be split
            headers = self._edges.read(data, line_end + 2)
            if headers is not None:
                line = parse_request_line(data[:line_end])
                if line.authority is None:
                    if line.version == 0:
                        check_together(line, headers.control)
                    self.line = line
                    self.headers = headers
                    self._repeats = 0
                    return len(data)
        end = data.find(b"\r\n\r\n", line_end) if line_end >= 0 else -1
        if end < 0 or end - at > limits.MAX_HEAD_BYTES:
            check_incomplete(data[at : at + _MOST_OF_ONE], checked)
            return 0
        raw = data[at:line_end]
        line = self._heads.lines.young.get(raw) or self._read_line(raw)
        block = data[line_end + 2 : end + 2]
        headers = self._heads.blocks.young.get(block)
        if headers is None:
            headers = self._read_block(block)
            self._known = None
        elif self._edges is not None:
            self._doubt_edges()
        else:
            self._known = headers
        self._accept(line, headers)
        return end + 4

    def _accept(self, line: RequestLine, headers: RequestHeaders) -> None:
        """Take over line and headers. Raises RequestError where they do not go together."""
        control = headers.control
        if not control.is_plain or line.version == 0 or line.authority is not None:
            check_together(line, control)
            if line.authority is not None:
                headers = headers.for_authority(line.authority)
        self.line = line
        self.headers = headers

    def _doubt_edges(self) -> None:
        """Drop the edges after some heads in a row that were known whole: looking for edges is lost time."""
        self._repeats += 1
        if self._repeats == _USELESS:
            self._repeats = 0
            self._edges = None
            self._searches = min(self._searches, _MOST_SEARCHES - 1)

    def _read_line(self, raw: bytes) -> RequestLine:
        memo = self._heads.lines
        line = memo.again(raw)
        if line is None:
            line = parse_request_line(raw)
            memo.offer(raw, line)
        return line

    def _read_block(self, block: bytes) -> RequestHeaders:
        memo = self._heads.blocks
        headers = memo.again(block)
        if headers is None:
            headers = parse_headers(block)
            if memo.offer(block, headers):
                headers.is_remembered = True
                headers.block = block
            if self._searches < _MOST_SEARCHES:
                self._searches += 1
                self._edges = find_edges(block, headers)
        return headers
