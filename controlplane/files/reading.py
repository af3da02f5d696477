"""Which files are read: files as given, directories with all that is below them, `-` for standard input."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

SUFFIXES: Final = (".yaml", ".yml", ".json")


class FileProblem(Exception):
    """A path that cannot be read; the message is one line with the cure."""


class Text(msgspec.Struct, frozen=True):
    """The content of a file; `name` as users will find it."""

    name: str
    content: bytes


def read_paths(paths: Iterable[str]) -> Iterator[Text]:
    """Yield the files of `paths`, each once, directories in the order of names. Raises FileProblem."""
    seen: set[str] = set()
    for path in paths:
        if path == "-":
            yield Text("<stdin>", sys.stdin.buffer.read())
            continue
        for file in _files(Path(path)):
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield Text(str(file), _content(file))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not found:
            raise FileProblem(f"{path}: no {', '.join(SUFFIXES)} in this directory; give one that has some")
        return found
    if not path.exists():
        raise FileProblem(f"{path}: no such file or directory; give a manifest or a directory of them")
    return [path]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileProblem(f"{file}: {error.strerror}; give a file that can be read") from None
