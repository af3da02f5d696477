"""Changes of header lines, of requests and responses alike."""

import re
from typing import Final

from proxy.model.policies import HeaderChange, HeaderOperation, ValueSource
from proxy.policies.asked import Asked
from proxy.policies.errors import demand
from proxy.policies.template import Template
from proxy.validation.policies import of_change

_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_PER_REQUEST: Final = frozenset(
    (ValueSource.CLIENT_ADDRESS, ValueSource.CLIENT_PORT, ValueSource.PROTOCOL, ValueSource.TEMPLATE)
)

_SET, _ADD, _DEFAULT, _REMOVE = range(4)
_OPERATIONS: Final = {
    HeaderOperation.SET: _SET,
    HeaderOperation.ADD: _ADD,
    HeaderOperation.DEFAULT: _DEFAULT,
    HeaderOperation.REMOVE: _REMOVE,
}


class Change:
    """One checked change of a header line."""

    __slots__ = ("_literal", "_name", "_source", "_source_name", "_template", "operation", "prefix")

    def __init__(self, config: HeaderChange) -> None:
        """Check `config`, and compile its template. Raises PolicyError."""
        demand(of_change(config))
        self.operation = _OPERATIONS[config.operation]
        self.prefix = config.name.lower().encode() + b":"
        self._name = config.name.encode()
        self._source = config.source
        self._source_name = config.value.lower().encode()
        self._literal = config.value.strip().encode()
        self._template = Template(config.value.strip()) if config.source is ValueSource.TEMPLATE else None

    @property
    def has_groups(self) -> bool:
        return self._template is not None and self._template.has_groups

    def line(self, asked: Asked) -> bytes | None:
        """Return the line that the change adds, without CRLF; None when there is no value to add."""
        value = self._value(asked)
        return None if value is None else b"%b: %b" % (self._name, value)

    def _value(self, asked: Asked) -> bytes | None:
        source = self._source
        if source is ValueSource.LITERAL:
            return self._literal
        if self._template is not None:
            value = self._template.expand(asked)
            return value if _VALUE.fullmatch(value) is not None else None
        if source is ValueSource.HEADER:
            values = asked.headers.values(self._source_name)
            return b", ".join(values) if values else None
        if source is ValueSource.CLIENT_ADDRESS:
            return asked.client
        if source is ValueSource.CLIENT_PORT:
            return b"%d" % asked.client_port if asked.client_port else None
        if source is ValueSource.PROTOCOL:
            return asked.scheme
        return b"%d" % asked.listener_port


class Changes:
    """Several changes, made one after the other."""

    __slots__ = ("_changes", "has_groups", "is_per_request", "names", "uses_request")

    def __init__(self, config: tuple[HeaderChange, ...]) -> None:
        """Compile each change of `config`. Raises PolicyError."""
        self._changes = [Change(change) for change in config]
        self.has_groups = any(change.has_groups for change in self._changes)
        self.names = frozenset(change.prefix[:-1] for change in self._changes)
        made = [change.source for change in config if change.operation is not HeaderOperation.REMOVE]
        self.is_per_request = any(source in _PER_REQUEST for source in made)
        self.uses_request = any(source is not ValueSource.LITERAL for source in made)

    def apply(self, lines: list[bytes], asked: Asked) -> list[bytes]:
        """Return the changed lines; they are without CRLF, their white space is ours."""
        for change in self._changes:
            operation = change.operation
            line = change.line(asked) if operation != _REMOVE else None
            if operation == _REMOVE or (operation == _SET and line is not None):
                lines = without(lines, change.prefix)
            elif operation == _DEFAULT and has(lines, change.prefix):
                continue
            if line is not None:
                lines.append(line)
        return lines


def without(lines: list[bytes], prefix: bytes) -> list[bytes]:
    """Return the lines whose name, with colon and in lower case, is not `prefix`."""
    size = len(prefix)
    return [line for line in lines if line[:size].lower() != prefix]


def has(lines: list[bytes], prefix: bytes) -> bool:
    size = len(prefix)
    return any(line[:size].lower() == prefix for line in lines)
