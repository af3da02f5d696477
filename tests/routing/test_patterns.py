"""Paths that are regular expressions: what cannot be compiled is refused by name."""

import pytest

from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.match import RouteError, compile_path


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_python_cannot_compile_is_a_route_error(pattern: str) -> None:
    with pytest.raises(RouteError):
        compile_path(PathMatch(PathKind.REGEX, pattern))
