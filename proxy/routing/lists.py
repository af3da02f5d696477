"""Header fields as conditions see them: the lines of a list and the members of one line mean the same.

RFC 9110 §5.3: a proxy may join the lines of a field, so a rule must not depend on the proxies that a request
passed. A list is read as each of its members, and as the one line that all of them make together.
"""

import re
from collections.abc import Sequence
from typing import Final

from proxy.model.conditions import HeaderCondition
from proxy.routing.parameters import MAX_VALUES
from proxy.routing.patterns import Texts

NO_LISTS: Final = frozenset(
    (
        # Commas in these belong to dates, comments, URLs and parameters
        b"authorization", b"content-disposition", b"content-location", b"content-type", b"cookie", b"date",
        b"expires", b"from", b"if-modified-since", b"if-range", b"if-unmodified-since", b"last-modified",
        b"location", b"origin", b"proxy-authenticate", b"proxy-authorization", b"range", b"referer",
        b"retry-after", b"server", b"set-cookie", b"sunset", b"user-agent", b"www-authenticate",
        # One value by definition
        b"age", b"content-length", b"content-range", b"etag", b"host", b"max-forwards",
        b"sec-websocket-accept", b"sec-websocket-key", b"strict-transport-security",
    )
)  # fmt: skip
"""Fields that are no lists. All others are: of a field that users invent, proxies know only the comma."""

# RFC 9110 §5.6.1, §5.6.4: a comma in a quoted string separates nothing. A string without end goes to the end
_MEMBER: Final = re.compile(rb'(?:[^,"]++|"(?:[^"\\]++|\\.|\\\Z)*+(?:"|\Z))++', re.DOTALL)


def members(values: Sequence[bytes]) -> list[bytes]:
    """Return the members of a list without white space around them; empty ones are none."""
    found: list[bytes] = []
    for value in values:
        parts = (
            value.split(b",") if b'"' not in value else [match.group() for match in _MEMBER.finditer(value)]
        )
        for part in parts:
            member = part.strip(b" \t")
            if member:
                found.append(member)
    return found


def joined(name: bytes, values: Sequence[bytes]) -> bytes:
    """Return the whole field as one text, which does not depend on the lines where the field is a list."""
    if len(values) == 1 and b"," not in values[0]:
        return values[0]
    return b",".join(values) if name in NO_LISTS else b", ".join(members(values))


class FieldTexts:
    """The patterns of a condition on a header field."""

    __slots__ = ("_is_list", "name", "texts")

    def __init__(self, condition: HeaderCondition) -> None:
        """Compile the patterns of `condition`. Raises PatternError."""
        self.name = condition.name.lower().encode()
        self.texts = Texts(condition.kind, condition.patterns)
        self._is_list = self.name not in NO_LISTS

    def match(self, values: Sequence[bytes]) -> bool:
        """`values` are those of the field's lines; there is at least one."""
        texts = self.texts
        if len(values) == 1 or not self._is_list:
            for value in values:  # a loop, not any(): run for every request that repeats nothing
                if texts.match(value):
                    return True
            if not self._is_list or b"," not in values[0]:
                return False
        found = members(values)
        for member in found[:MAX_VALUES]:
            if texts.match(member):
                return True
        return len(found) > 1 and texts.match(b", ".join(found))
