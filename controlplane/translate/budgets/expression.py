"""RE2 expressions as trees, over an alphabet of ASCII, one symbol for all other characters, and the end.

The reader knows the syntax that rules commonly use. For any other expression it returns nothing, and the
caller assumes the highest cost.
"""

import re
from typing import Final

import msgspec

OTHER: Final = 128  # any character beyond ASCII
END: Final = 129  # of the text
SYMBOLS: Final = 130

_ANY: Final = (1 << END) - 1
_ALL_BUT_LF: Final = _ANY & ~(1 << 10)


def _mask(characters: str) -> int:
    return sum(1 << ord(character) for character in set(characters))


_DIGITS: Final = _mask("0123456789")
_WORD: Final = _DIGITS | _mask("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_SPACE: Final = _mask(" \t\n\f\r")
_CLASSES: Final = {
    "d": _DIGITS, "w": _WORD, "s": _SPACE, "D": _ANY & ~_DIGITS, "W": _ANY & ~_WORD, "S": _ANY & ~_SPACE,
    "C": _ANY, "z": 1 << END,
}  # fmt: skip
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_REPEAT: Final = re.compile(r"([*+?]|\{([0-9]{1,4})(?:(,)([0-9]{0,4}))?\})(\?)?")
_GROUP: Final = re.compile(r"\?(?:P?<\w+>|([is]*)(:|\)))")


class UnknownSyntax(ValueError):
    """The expression has syntax that this reader does not know; it may be valid all the same."""


class Symbol(msgspec.Struct, frozen=True):
    """One of a set of symbols, a bit for each."""

    mask: int


class Sequence(msgspec.Struct, frozen=True):
    parts: tuple["Node", ...]


class Choice(msgspec.Struct, frozen=True):
    parts: tuple["Node", ...]


class Repeat(msgspec.Struct, frozen=True):
    part: "Node"
    least: int
    most: int | None
    lazy: bool


Node = Symbol | Sequence | Choice | Repeat


def parse(pattern: str, ignore_case: bool) -> Node:
    """Raises UnknownSyntax."""
    parser = _Parser(pattern, ignore_case)
    tree = parser.choice()
    if parser.at < len(pattern):
        raise UnknownSyntax(pattern[parser.at :])
    return tree


class _Parser:
    def __init__(self, text: str, ignore_case: bool) -> None:
        self.text = text
        self.at = 0
        self.ignore_case = ignore_case
        self.dot = _ALL_BUT_LF

    def choice(self) -> Node:
        parts = [self.sequence()]
        while self._next("|"):
            parts.append(self.sequence())
        return Choice(tuple(parts)) if len(parts) > 1 else parts[0]

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            atom = self.atom()
            if atom is not None:
                parts.append(self.repeated(atom))
        return Sequence(tuple(parts))

    def repeated(self, atom: Node) -> Node:
        found = _REPEAT.match(self.text, self.at)
        if found is None:
            return atom
        self.at = found.end()
        sign, least, comma, most, lazy = found.groups()
        if least is None:
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            low, high = int(least), (int(most) if most else None) if comma else int(least)
        if _REPEAT.match(self.text, self.at):
            raise UnknownSyntax(self.text)
        return Repeat(atom, low, high, lazy is not None)

    def atom(self) -> Node | None:
        character = self._take()
        if character == "(":
            return self.group()
        if character == "[":
            return Symbol(self.bracket())
        if character == ".":
            return Symbol(self.dot)
        if character == "$":
            return Symbol(1 << END)
        if character == "^":
            return None
        if character == "\\":
            return Symbol(self.escape())
        if character in "*+?":
            raise UnknownSyntax(self.text)
        return Symbol(self._of(character))

    def group(self) -> Node | None:
        outside = self.ignore_case, self.dot
        found = _GROUP.match(self.text, self.at)
        if found is None and self.text[self.at : self.at + 1] == "?":
            raise UnknownSyntax(self.text)
        if found is not None:
            self.at = found.end()
            self.ignore_case = self.ignore_case or "i" in (found[1] or "")
            self.dot = _ANY if "s" in (found[1] or "") else self.dot
            if found[2] == ")":
                return None  # for the rest of the expression around it; a little more does no harm
        inner = self.choice()
        if not self._next(")"):
            raise UnknownSyntax(self.text)
        self.ignore_case, self.dot = outside
        return inner

    def escape(self) -> int:
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return self._of(_CONTROLS[character])
        if character.isalnum():
            raise UnknownSyntax(self.text)
        return self._of(character)

    def bracket(self) -> int:
        negated = self._next("^")
        mask = self._item("]") if self._next("]") else 0
        while not self._next("]"):
            mask |= self._item(self._take())
        return _ANY & ~mask if negated else mask

    def _item(self, character: str) -> int:
        if character == "[" and self.text[self.at : self.at + 1] == ":":
            raise UnknownSyntax(self.text)
        first = self.escape() if character == "\\" else self._of(character)
        following = self.text[self.at : self.at + 2]
        if len(following) < 2 or following[0] != "-" or following[1] == "]":
            return first
        self.at += 1
        last = self._take()
        if last == "\\":
            last = self._take()
        if character == "\\" or last.isalnum() != character.isalnum() or max(character, last) > "\x7f":
            raise UnknownSyntax(self.text)
        return sum(
            1 << code if not self.ignore_case else self._of(chr(code))
            for code in self._codes(character, last)
        )

    def _codes(self, first: str, last: str) -> range:
        return range(ord(first), ord(last) + 1)

    def _of(self, character: str) -> int:
        """Return the set of a literal character."""
        if character > "\x7f":
            return 1 << OTHER
        mask = 1 << ord(character)
        if self.ignore_case and character.isalpha():
            mask |= 1 << ord(character.swapcase())
        return mask

    def _next(self, character: str) -> bool:
        found = self.text.startswith(character, self.at)
        self.at += found
        return found

    def _take(self) -> str:
        if self.at >= len(self.text):
            raise UnknownSyntax(self.text)
        self.at += 1
        return self.text[self.at - 1]
