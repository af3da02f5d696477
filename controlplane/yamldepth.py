"""How deeply YAML is nested, found out before it is composed.

Kubeconfigs, manifests and bodies of requests come from strangers: three packages ask, so it belongs to none.

libyaml composes by recursion in C: at some ten thousand levels it ends the process. Since 0.2.6, which the
wheels of PyYAML 6.0.4 bring, it refuses more than 1,000 levels itself. Distributions build PyYAML with older
ones, its own parser in Python has no limit, and our documents may have far fewer levels: so we count, too.
"""

from typing import Any, Final

import yaml

_LIBYAML_LIMIT: Final = "exceeded maximum nesting depth"


def too_deep(text: str | bytes, most: int, loader: Any) -> Any:
    """Return the mark of the first level of `text` after the `most`-th, or None. `most` is at most 1,000.

    The mark is that of the library's own limit where this comes first. Raises YAMLError.
    """
    try:
        return _level_after(most, text, loader)
    except yaml.MarkedYAMLError as error:
        if error.problem != _LIBYAML_LIMIT or error.problem_mark is None:
            raise
        limit = error.problem_mark
    try:  # libyaml looks 1,024 characters ahead, so its limit can come before the event of our level
        return _level_after(most, text[: limit.index], loader) or limit
    except yaml.YAMLError:  # the text ends there, inside open collections
        return limit


def _level_after(most: int, text: str | bytes, loader: Any) -> Any:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > most:
                return event.start_mark
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None
