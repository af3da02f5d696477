"""YAML and JSON text to documents whose every field knows its line.

As in kubectl, documents are split at `---` before they are parsed, so that a broken document harms no
other, and plain words are read by YAML 1.1 (`on` is true), without dates and base-60 numbers.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec
import yaml
from msgspec import field

from controlplane.yamldepth import too_deep

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_TAG: Final = "tag:yaml.org,2002:"
_TEXT: Final = frozenset(_TAG + kind for kind in ("str", "timestamp", "binary"))
_MAX_DEPTH: Final = 200
_MAX_VALUES: Final = 1_000_000
"""The most nodes of a document with its aliases written out: few aliases can be billions of values."""


class TreeError(Exception):
    """Text that is no document. `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.line = line
        self.column = column


class Document(msgspec.Struct, frozen=True):
    """One document: its value as JSON has it, and where it stands.

    `lines_before` is the number of lines of the file before the text that `node` was parsed from.
    """

    value: Any
    node: yaml.Node
    lines_before: int
    repeated: tuple[tuple[str, yaml.Node], ...] = ()  # keys written twice, at the later place


def documents(text: str) -> Iterator[Document | TreeError]:
    """Yield the documents of a file in order, and errors in place of those that cannot be read."""
    starts = [0, *(match.start() for match in _SEPARATOR.finditer(text)), len(text)]
    lines_before = 0
    for start, end in pairwise(starts):
        try:
            document = _document(text[start:end], lines_before)
        except TreeError as error:
            yield TreeError(str(error), error.line + lines_before, error.column)
        else:
            if document is not None:
                yield document
        lines_before += text.count("\n", start, end)


def entries(node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield key, node of the key and node of the value; entries that `<<` merges in come first."""
    for key, value in node.value:
        if key.tag == _TAG + "merge":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if isinstance(merged, yaml.MappingNode):
                    yield from entries(merged)
    for key, value in node.value:
        if key.tag != _TAG + "merge":
            yield str(key.value), key, value


def _document(text: str, lines_before: int) -> Document | None:
    try:
        mark = too_deep(text, _MAX_DEPTH, _LOADER)
        if mark is not None:
            raise _error("is nested too deeply", mark)
        node = yaml.compose(text, Loader=_LOADER)
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"):
            return None
        reader = _ValueReader()
        value = reader.value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be parsed"
        raise TreeError(problem, *((mark.line + 1, mark.column + 1) if mark else (1, 1))) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise TreeError(" ".join(str(error).split()), 1, 1) from None
    return Document(value, node, lines_before, tuple(reader.repeated))


class _ValueReader(msgspec.Struct):
    """Makes the values of one document."""

    budget: int = _MAX_VALUES
    depth: int = 0
    repeated: list[tuple[str, yaml.Node]] = field(default_factory=list)

    def value(self, node: yaml.Node) -> Any:
        self.budget -= 1
        if self.budget < 0:
            raise _error(f"has more than {_MAX_VALUES:,} values, aliases written out", node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        self.depth += 1
        if self.depth > _MAX_DEPTH:  # an alias may stand inside the node that it names
            raise _error("is nested too deeply", node.start_mark)
        value = self._mapping(node) if isinstance(node, yaml.MappingNode) else self._sequence(node)
        self.depth -= 1
        return value

    def _sequence(self, node: yaml.Node) -> list[Any]:
        return [self.value(item) for item in node.value]

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        own = [key for key, _ in node.value]
        for key in own:
            if not isinstance(key, yaml.ScalarNode):
                raise _error("a key must be plain text", key.start_mark)
        self._note_repeated(own)
        return {name: self.value(value) for name, _, value in entries(node)}

    def _note_repeated(self, keys: list[yaml.Node]) -> None:
        seen: set[str] = set()
        for key in keys:
            if key.value in seen and not any(key is noted for _, noted in self.repeated):
                self.repeated.append((str(key.value), key))
            seen.add(key.value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text, tag = str(node.value), node.tag
    if tag in _TEXT:
        return text
    if tag == _TAG + "null":
        return None
    if tag == _TAG + "bool":
        return text.lower() in ("true", "yes", "on")
    if tag in (_TAG + "int", _TAG + "float"):
        return _number(node, text)
    raise _error(f"the tag {tag.removeprefix(_TAG)} has no meaning here", node.start_mark)


def _number(node: yaml.ScalarNode, text: str) -> int | float | str:
    """Return a number; text where JSON has no such number, or Kubernetes' YAML sees none."""
    if ":" in text or text.lower().lstrip("+-") in (".inf", ".nan"):
        return text
    maker = yaml.constructor.SafeConstructor()
    try:
        if node.tag == _TAG + "int":
            return int(maker.construct_yaml_int(node))
        return float(maker.construct_yaml_float(node))
    except ValueError:
        return text


def _error(problem: str, mark: Any) -> TreeError:
    return TreeError(problem, *((mark.line + 1, mark.column + 1) if mark else (1, 1)))
