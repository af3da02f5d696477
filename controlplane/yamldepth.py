"""How deeply YAML is nested, found out before it is composed.

libyaml composes by recursion in C: at some ten thousand levels it ends the process.
"""

from typing import Any

import yaml


def too_deep(text: str | bytes, most: int, loader: Any) -> Any:
    """Return the mark where `text` is nested more than `most` levels deep, or None. Raises YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > most:
                return event.start_mark
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None
