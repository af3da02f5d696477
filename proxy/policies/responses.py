"""Changes of response heads between endpoint and client: CORS, header changes, rules."""

from typing import Final

from proxy.http.response import ResponseHead
from proxy.model.policies import ResponseRule
from proxy.policies.asked import Asked
from proxy.policies.changes import Changes, has, without
from proxy.policies.cors import RESPONSE_FIELDS, VARY_ORIGIN, CorsPolicy
from proxy.routing.lists import FieldTexts

_MAX_REMEMBERED: Final = 256
_HSTS: Final = b"strict-transport-security:"


class ResponseFields:
    """The lines of a response head, for conditions."""

    __slots__ = ("_lines",)

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    def values(self, name: bytes) -> tuple[bytes, ...]:
        prefix = name + b":"
        size = len(prefix)
        return tuple([line[size:].strip(b" \t") for line in self._lines if line[:size].lower() == prefix])


class Rule:
    """A ResponseRule."""

    __slots__ = ("_headers", "_statuses", "changes")

    def __init__(self, config: ResponseRule) -> None:
        """Compile `config`. Raises PolicyError, PatternError."""
        self.changes = Changes(config.changes)
        self._statuses = frozenset(config.statuses)
        self._headers = [FieldTexts(condition) for condition in config.headers]

    def holds(self, status: int, fields: ResponseFields) -> bool:
        if self._statuses and status not in self._statuses:
            return False
        for texts in self._headers:
            values = fields.values(texts.name)
            if not values or not texts.match(values):
                return False
        return True


class ResponseChanges:
    """The changes of one route; the same for its own answers as for those of its endpoints."""

    __slots__ = ("_changes", "_cors", "_hsts", "_is_repeatable", "_remembered", "_rules")

    def __init__(
        self, cors: CorsPolicy | None, changes: Changes | None, rules: list[Rule], hsts: str | None = None
    ) -> None:
        self._cors = cors
        self._hsts = b"Strict-Transport-Security: %b" % hsts.encode() if hsts is not None else b""
        self._changes = changes
        self._rules = rules
        every = [rule.changes for rule in rules]
        if changes is not None:
            every.append(changes)
        self._is_repeatable = not any(one.uses_request for one in every)
        self._remembered: dict[tuple[ResponseHead, bytes, bool], ResponseHead] = {}

    def head(self, head: ResponseHead, asked: Asked) -> ResponseHead:
        cors = self._cors.lines(asked) if self._cors is not None else b""
        if not self._is_repeatable:
            return head.replaced(self._changed(head.start, head.status, cors, asked))
        key = (head, cors, self._is_secured(asked))
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            found = head.replaced(self._changed(head.start, head.status, cors, asked))
            self._remembered[key] = found
        return found

    def own_head(self, head: ResponseHead, asked: Asked) -> ResponseHead:
        """Return the head of a response that the gateway makes itself, with the changes."""
        is_preflight = self._cors is not None and self._cors.is_preflight(asked)
        cors = self._cors.lines(asked) if self._cors is not None and not is_preflight else b""
        return head.replaced(self._changed(head.start, head.status, cors, asked, keeps_cors=is_preflight))

    def _changed(
        self, start: bytes, status: int, cors: bytes, asked: Asked, *, keeps_cors: bool = False
    ) -> bytes:
        """Return status line and fields with all changes. CORS first: rules may say otherwise."""
        lines = start.split(b"\r\n")
        lines.pop()
        if self._cors is not None and not keeps_cors:
            lines = _with_cors(lines, cors, varies=self._cors.varies)
        if self._changes is not None:
            lines = self._changes.apply(lines, asked)
        if self._rules:
            fields = ResponseFields(lines[:])  # a copy: the lines before any rule changes them
            for rule in self._rules:
                if rule.holds(status, fields):
                    lines = rule.changes.apply(lines, asked)
        if self._is_secured(asked) and not has(lines, _HSTS):
            lines.append(self._hsts)
        lines.append(b"")
        return b"\r\n".join(lines)

    def _is_secured(self, asked: Asked) -> bool:
        """Whether the client is told to come over HTTPS alone: it is over HTTPS only (RFC 6797 §7.2)."""
        return len(self._hsts) > 0 and asked.scheme == b"https"


def _with_cors(lines: list[bytes], cors: bytes, *, varies: bool) -> list[bytes]:
    for name in RESPONSE_FIELDS:
        lines = without(lines, name + b":")
    lines += cors.split(b"\r\n")[:-1]
    if varies and not varies_by(lines, b"origin"):
        lines.append(VARY_ORIGIN[:-2])
    return lines


def varies_by(lines: list[bytes], name: bytes) -> bool:
    """Whether Vary already names a request field (in lower case), or everything."""
    values = b",".join(ResponseFields(lines).values(b"vary")).lower().split(b",")
    return any(value.strip() in (name, b"*") for value in values)
