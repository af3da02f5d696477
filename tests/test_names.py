"""A class name means one thing: whoever searches for it finds one class."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("controlplane", "proxy")
APART = {
    ROOT / "controlplane" / "embedded",  # an API server of its own, with Kubernetes' names
    ROOT / "proxy" / "model",  # a struct of the snapshot may have the word of what it describes
}


def classes(package: str) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of every class, of nested and private ones too."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if APART.isdisjoint(path.parents):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ClassDef):
                    yield node.name, path.relative_to(ROOT)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_classes_of_a_package_have_the_same_name(package: str) -> None:
    found = defaultdict(list)
    for name, path in classes(package):
        found[name].append(str(path))
    assert len(found) > 100
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
