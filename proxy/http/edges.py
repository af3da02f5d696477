"""Heads that differ from the one before only in the middle: what browsers and traced clients send.

A cookie or a trace id changes with every request, the lines before and after it do not. Where a head
begins and ends as the last one did, only the lines between are cut and looked at; the rest was
validated when it was seen first. The result is the same as that of parsing the whole.
"""

from typing import Final

from proxy.http import limits
from proxy.http.control import Control
from proxy.http.fields import CONTROL, IDENTITY, Field, known, read_field
from proxy.http.request_headers import RequestHeaders, Surroundings, is_request_id

_MOST_IN_THE_MIDDLE: Final = 16


class Edges:
    """The beginning and the end that the header blocks of one client have in common."""

    __slots__ = ("_around", "_control", "_end", "_forward_after", "_forward_before", "_start")

    def __init__(
        self, before: list[Field], after: list[Field], start: bytes, end: bytes, control: Control
    ) -> None:
        """`start` and `end` are the bytes of the fields `before` and `after`, `control` is of the whole."""
        self._around = Surroundings(before, after)
        self._start = start
        self._end = end + b"\r\n"
        self._forward_before = control.start + b"".join([field.forward for field in before])
        self._forward_after = b"".join([field.forward for field in after]) + control.end
        self._control = control

    def read(self, data: bytes, at: int) -> RequestHeaders | None:
        """Return the headers of a request that is all of `data`, whose header block begins at `at`.

        None where another way to parse has to be taken. Raises RequestError.
        """
        last = len(data) - len(self._end)
        begin = at + len(self._start)
        if begin > last or not data.endswith(self._end) or not data.startswith(self._start, at):
            return None
        lines = data[begin:last].split(b"\r\n")
        if lines.pop() or len(lines) > _MOST_IN_THE_MIDDLE or len(data) > limits.MAX_HEAD_BYTES:
            return None
        fields: list[Field] = []
        forward = [self._forward_before]
        request_id = b""
        is_new = False
        for line in lines:
            field = known.young.get(line)
            if field is None:
                if not line:
                    return None  # the end of this head, and the beginning of another
                field = read_field(line)
                is_new = True
            if field.rule >= CONTROL:
                if field.rule != IDENTITY:
                    return None
                if not request_id and is_request_id(field.value):
                    request_id = field.value
            fields.append(field)
            forward.append(field.forward)
        if not is_new:
            return None  # seen before, line by line: perhaps the whole block is remembered
        forward.append(self._forward_after)
        return RequestHeaders(fields, self._control, b"".join(forward), request_id, self._around)


def find_edges(block: bytes, headers: RequestHeaders) -> Edges | None:
    """Return the edges of a block, parsed to `headers`: its lines up to the first that is new, and from
    behind the last. None when a line between them steers the request, or one of them names it."""
    control, fields = headers.control, headers.fields
    if not control.is_plain or control.nominated:
        return None
    lines = block.split(b"\r\n")
    lines.pop()
    new = [index for index, line in enumerate(lines) if line not in known.young]
    if not new or len(fields) > limits.MAX_FIELDS - _MOST_IN_THE_MIDDLE:
        return None
    first, last = new[0], new[-1] + 1
    before, after = fields[:first], fields[last:]
    if any(field.rule == IDENTITY for field in before + after):
        return None
    if any(field.rule >= CONTROL for field in fields[first:last] if field.rule != IDENTITY):
        return None
    start = b"".join([line + b"\r\n" for line in lines[:first]])
    end = b"".join([line + b"\r\n" for line in lines[last:]])
    return Edges(before, after, start, end, control)
