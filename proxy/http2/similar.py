"""Heads that differ from the one before only in the path, and in fields that are passed on as they are.

A cookie or a trace id changes with every request, and with it the dynamic table: no block comes again. All
other entries are the same objects as before, for they are in the table; what they mean is known.
"""

from proxy.http.control import Control
from proxy.http.fields import KEEP, Field
from proxy.http.request_headers import RequestHeaders
from proxy.http2.hpack import HeaderEntry


class SimilarHead:
    """The last head of a connection, as a pattern for the next one."""

    __slots__ = (
        "_control",
        "_ends",
        "_entries",
        "_fields",
        "_forward",
        "_path_at",
        "_places",
        "method",
    )

    def __init__(
        self, entries: list[HeaderEntry], fields: list[Field], headers: RequestHeaders, method: bytes,
        *, ends: bool,
    ) -> None:  # fmt: skip
        """`fields` came from the `entries` that are no pseudo-header fields, one from each, in their order.

        They may have a Host in front. Nothing of `headers` names the request.
        """
        self._entries = entries
        self._fields = fields
        self._control: Control = headers.control
        self._ends = ends
        self.method = method
        self._forward = [headers.control.start, *[field.forward for field in fields], headers.control.end]
        place = len(fields) - sum(1 for entry in entries if not entry.name.startswith(b":"))
        self._places: list[int] = []  # of the field of each entry; -1: a pseudo-header field
        self._path_at = 0
        for at, entry in enumerate(entries):
            if entry.name.startswith(b":"):
                self._places.append(-1)
                if entry.name == b":path":
                    self._path_at = at
            else:
                self._places.append(place)
                place += 1

    def changed(self, entries: list[HeaderEntry], *, ends: bool) -> list[int] | None:
        """Return where `entries` differ from those before in fields that are passed on as they are.

        None where they differ in more. The path may differ.
        """
        before = self._entries
        if len(entries) != len(before) or ends != self._ends:
            return None
        changed: list[int] = []
        for at in range(len(entries)):
            entry = entries[at]
            old = before[at]
            if entry is old:
                continue
            if entry.name != old.name:
                return None
            place = self._places[at]
            if place < 0:
                if at != self._path_at:
                    return None
            elif self._fields[place].rule != KEEP:
                return None
            else:
                changed.append(at)
        return changed

    def path_of(self, entries: list[HeaderEntry]) -> bytes:
        return entries[self._path_at].value

    def headers_of(self, entries: list[HeaderEntry], changed: list[int]) -> RequestHeaders:
        """Return the headers of `entries`, whose fields are read, and make them the pattern of the next."""
        fields, forward = self._fields.copy(), self._forward
        for at in changed:
            field = entries[at].field
            assert field is not None
            place = self._places[at]
            fields[place] = field
            forward[place + 1] = field.forward
        self._entries = entries
        self._fields = fields
        return RequestHeaders(fields, self._control, b"".join(forward), b"")
