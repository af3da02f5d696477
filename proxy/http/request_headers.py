"""The header block of a request, validated and made ready to forward; remembered by its exact bytes.

Work is remembered on three levels, so that only the new parts of a head cost time: the
block (an API client repeats it), its control fields (`control`), its lines (`fields`).
"""

import re
from typing import Final

from proxy.http import limits
from proxy.http.control import Control, read_control
from proxy.http.errors import RequestError
from proxy.http.fields import CONTROL, CONTROL_KEEP, IDENTITY, VOUCHED, Field, bad_field, known, read_field
from proxy.http.grammar import FIELD_LINE
from proxy.http.memo import Memo

_REQUEST_ID: Final = re.compile(rb"[0-9A-Za-z._:/+=-]{1,128}+")
_controls: Final[Memo[Control]] = Memo()


def is_request_id(value: bytes) -> bool:
    """Whether a client may give its request this id."""
    return _REQUEST_ID.fullmatch(value) is not None


class Surroundings:
    """Fields that come before and after those of many a request, with the values looked up in them."""

    __slots__ = ("_after", "_before", "_values", "between", "vouched")

    def __init__(self, before: list[Field], after: list[Field], between: frozenset[bytes]) -> None:
        """`between` are the names, in lower case, of fields that are read only when they are asked for."""
        self._before = before
        self._after = after
        self.between = between
        self._values: dict[bytes, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {}
        self.vouched = _vouched(before) + _vouched(after)

    def values(self, name: bytes, between: tuple[bytes, ...]) -> tuple[bytes, ...]:
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = _values(self._before, name), _values(self._after, name)
        return found[0] + between + found[1] if found[0] or found[1] else between


def _values(fields: list[Field], name: bytes) -> tuple[bytes, ...]:
    size = len(name)  # lengths are compared faster
    return tuple([field.value for field in fields if len(field.name) == size and field.name == name])


def _vouched(fields: list[Field]) -> bytes:
    return b"".join([b"%b: %b\r\n" % (field.name, field.value) for field in fields if field.rule == VOUCHED])


class RequestHeaders:
    """The meaning of a header block. Immutable, but for the memo of looked-up values."""

    __slots__ = (
        "_around", "_unread", "_values", "_vouched", "block", "control", "fields", "forward",
        "is_remembered", "request_id",
    )  # fmt: skip

    def __init__(
        self,
        fields: list[Field],
        control: Control,
        forward: bytes,
        request_id: bytes,
        around: Surroundings | None = None,
        unread: bytes = b"",
    ) -> None:
        """`unread`: valid lines of fields that `around` names, instead of `fields`."""
        self.fields = fields
        self._around = around
        self._unread = unread
        self._values: dict[bytes, tuple[bytes, ...]] | None = None
        self._vouched: bytes | None = None
        self.control = control
        self.forward = forward  # the fields an endpoint gets, framing included, without the final CRLF
        self.request_id = request_id  # given by the client, or b""
        self.is_remembered = False  # other requests may get this same object
        self.block = b""  # the bytes by which a memo finds these headers

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of a field (name in lower case), without surrounding white space."""
        if self._values is not None:
            found = self._values.get(name)
            if found is not None:
                return found
        if self._unread and self._around is not None and name in self._around.between:
            self.fields = [read_field(line) for line in self._unread.split(b"\r\n") if line]
            self._unread = b""
        found = _values(self.fields, name)
        if self._around is not None:
            found = self._around.values(name, found)
        if self.is_remembered:
            if self._values is None:
                self._values = {}
            self._values[name] = found
        return found

    def vouched(self) -> bytes:
        """Return the lines that go on from a trusted proxy, and from no other peer."""
        lines = self._vouched
        if lines is None:
            nominated = self.control.nominated
            lines = _vouched([field for field in self.fields if field.name not in nominated])
            if self._around is not None:
                lines += self._around.vouched
            self._vouched = lines
        return lines

    def for_authority(self, authority: bytes) -> "RequestHeaders":
        """Return the headers of a request whose target names its server: Host is ignored (RFC 9112 §3.2.2).

        The fields have been read. Raises RequestError for an authority that is no host and port.
        """
        fields = [read_field(b"Host: " + authority), *[f for f in self.fields if f.name != b"host"]]
        control = read_control([field for field in fields if field.rule in (CONTROL, CONTROL_KEEP)])
        return RequestHeaders(fields, control, _forwarded(fields, control), self.request_id)

    def replaced(self, forward: bytes) -> "RequestHeaders":
        """Return the same headers with other field lines for an endpoint."""
        return RequestHeaders(self.fields, self.control, forward, self.request_id, self._around, self._unread)


def parse_headers(block: bytes) -> RequestHeaders:
    """Return the meaning of a header block; `block` ends with the CRLF of its last line.

    Raises RequestError for a header block whose framing or meaning two servers could read differently.
    """
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > limits.MAX_FIELDS:
        raise RequestError(431, f"more than {limits.MAX_FIELDS} header fields")
    fields: list[Field] = []
    forward: list[bytes] = [b""]  # room for the lines that come first
    steering: list[bytes] = []
    request_id = b""
    for line in lines:
        field = known.young.get(line) or read_field(line)
        fields.append(field)
        forward.append(field.forward)
        rule = field.rule
        if rule >= CONTROL:
            if rule != IDENTITY:
                steering.append(line)
            elif not request_id and is_request_id(field.value):
                request_id = field.value
    return _headers(fields, forward, steering, request_id)


def headers_of(fields: list[Field]) -> RequestHeaders:
    """Return the meaning of fields that did not come as lines. Raises RequestError, see `parse_headers`."""
    forward: list[bytes] = [b""]
    steering: list[bytes] = []
    request_id = b""
    for field in fields:
        forward.append(field.forward)
        rule = field.rule
        if rule >= CONTROL:
            if rule != IDENTITY:
                steering.append(b"%b: %b" % (field.name, field.value))
            elif not request_id and is_request_id(field.value):
                request_id = field.value
    return _headers(fields, forward, steering, request_id)


def _headers(
    fields: list[Field], forward: list[bytes], steering: list[bytes], request_id: bytes
) -> RequestHeaders:
    key = b"\r\n".join(steering)
    control = _controls.young.get(key) or _read_control(key, fields)
    if control.nominated:
        return RequestHeaders(fields, control, _forwarded(fields, control), request_id)
    forward[0] = control.start
    forward.append(control.end)
    return RequestHeaders(fields, control, b"".join(forward), request_id)


def _forwarded(fields: list[Field], control: Control) -> bytes:
    lines = [field.forward for field in fields if field.name not in control.nominated]
    return b"".join((control.start, *lines, control.end))


def _read_control(key: bytes, fields: list[Field]) -> Control:
    control = _controls.again(key)
    if control is None:
        control = read_control([field for field in fields if field.rule in (CONTROL, CONTROL_KEEP)])
        _controls.offer(key, control)
    return control


def check_lines(block: bytes) -> None:
    """Refuse whole lines, with their CRLF, that no end of the block can make valid. Raises RequestError."""
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > limits.MAX_FIELDS:
        raise RequestError(431, f"more than {limits.MAX_FIELDS} header fields")
    for line in lines:
        if FIELD_LINE.fullmatch(line) is None:
            raise bad_field(line)
