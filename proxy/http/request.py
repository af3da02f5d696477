"""Checks of request line and header block together, and refusal of a bad head before it is complete."""

from proxy.http import limits
from proxy.http.control import Control
from proxy.http.errors import RequestError
from proxy.http.framing import CHUNKED
from proxy.http.grammar import REQUEST_LINE
from proxy.http.opening import check_new_octets, check_opening
from proxy.http.request_headers import check_lines
from proxy.http.request_line import RequestLine, bad_request_line


def check_together(line: RequestLine, control: Control) -> None:
    """Refuse faults that only the request line and the fields together show. Raises RequestError."""
    if control.authority is None and line.version == 1:
        raise RequestError(400, "no Host field")
    if control.length == CHUNKED and line.version == 0:
        raise RequestError(400, "Transfer-Encoding in an HTTP/1.0 request")
    if control.upgrade and control.length != 0:
        raise RequestError(400, "a protocol upgrade with a body")
    if control.is_coded:
        raise RequestError(501, "the only transfer coding of requests is chunked")


def check_incomplete(data: bytes, checked: int) -> None:
    """Refuse the beginning of a head as soon as it cannot become a valid one. Raises RequestError.

    The first `checked` bytes have been checked before. Only the end of a line allows a further check: a head
    that comes byte by byte must not be parsed anew for each byte (measured: 6 s for a head of 30 KB).
    """
    line_end = data.find(b"\r\n")
    line_bytes = len(data) - data.rfind(b"\n") - 1
    is_small = line_bytes <= limits.MAX_LINE_BYTES and len(data) <= limits.MAX_HEAD_BYTES
    if is_small and data.find(b"\n", checked) < 0:
        if line_end < 0:
            check_opening(data, checked)
        else:
            check_new_octets(data, checked)
        return
    if line_end < 0:
        if b"\n" in data:
            raise RequestError(400, "a line ends with LF instead of CRLF")
        if len(data) > limits.MAX_LINE_BYTES:
            raise bad_request_line(data)
        return
    if REQUEST_LINE.fullmatch(data, 0, line_end) is None or line_end > limits.MAX_LINE_BYTES:
        raise bad_request_line(data[:line_end])
    check_new_octets(data, max(checked, line_end))
    if len(data) > limits.MAX_HEAD_BYTES:
        raise RequestError(431, f"the request head is larger than {limits.MAX_HEAD_BYTES} bytes")
    last_line = data.rfind(b"\n") + 1
    block = data[line_end + 2 : last_line]
    if not block.endswith(b"\r\n") and block:
        raise RequestError(400, "a line ends with LF instead of CRLF")
    check_lines(block)
    if len(data) - last_line > limits.MAX_LINE_BYTES:
        raise RequestError(431, f"a header line is longer than {limits.MAX_LINE_BYTES} bytes")
