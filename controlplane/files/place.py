"""Field paths of findings to places in a file."""

import re
from typing import Final

import msgspec
import yaml

from controlplane.files.tree import entries

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]?")


class Place(msgspec.Struct, frozen=True, order=True):
    """Line and column count from 1; 0 is unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def place_of(field: str, node: yaml.Node, file: str, lines_before: int) -> Place:
    """Return the place of `field` below `node`; a missing field has the place where it should be.

    Forms: spec.rules[0].http.paths[1].path, metadata.annotations[key], metadata.annotations[family.*].
    """
    mark = node.start_mark
    for step in _STEP.finditer(field):
        found = _child(node, step[1] if step[1] is not None else step[2])
        if found is None:
            break
        mark, node = found[0].start_mark, found[1]
    return Place(file, lines_before + mark.line + 1, mark.column + 1)


def node_at(field: str, node: yaml.Node) -> yaml.Node | None:
    """Return the value of `field` below `node`, None when it is not there."""
    for step in _STEP.finditer(field):
        found = _child(node, step[1] if step[1] is not None else step[2])
        if found is None:
            return None
        node = found[1]
    return node


def _child(node: yaml.Node, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return a child, and the node that marks its place: the key, or the item itself."""
    if isinstance(node, yaml.SequenceNode):
        index = int(name) if name.isdecimal() else -1
        return (node.value[index], node.value[index]) if 0 <= index < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    children = {key: (at, value) for key, at, value in entries(node)}
    if name in children:
        return children[name]
    if name.endswith(("*", "…")):  # a family of annotations, or a key that was shortened
        return next((child for key, child in children.items() if key.startswith(name[:-1])), None)
    return None
