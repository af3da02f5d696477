"""Tells whether RE2 runs an expression as an automaton, one step per octet, or may try all instructions.

RE2 makes the states of the automaton as it meets them and keeps as many as fit into its memory. For nearly
every expression that people write they are a few dozen. For `(a|b)*a(a|b){20}` they are a million: then each
octet costs as many steps as threads are alive, up to the size of the program (measured: 100 times the time).
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from controlplane.translate.budgets.expression import (
    SYMBOLS,
    Choice,
    Node,
    Repeat,
    Sequence,
    Symbol,
    UnknownSyntax,
    parse,
)

MAX_STATES: Final = 128
"""RE2 has room for some 800; a character may be several octets, with states between."""
_MAX_INSTRUCTIONS: Final = 400
_MAX_STEPS: Final = 1000
"""The most transitions between states: more would take over 3 ms, and tenants write the expressions."""

State = tuple[int, ...]
"""Threads in the order of their precedence, as instructions that wait for a symbol, or have matched."""


@lru_cache(maxsize=65536)
def is_small(pattern: str, ignore_case: bool) -> bool:
    """Return whether the automaton has at most MAX_STATES states; False for expressions that this module
    cannot read.
    """
    try:
        program = _Program(parse(pattern, ignore_case))
    except (UnknownSyntax, RecursionError):
        return False
    return program.has_few_states()


class _Program:
    """Instructions: a set of symbols and where to go on, or several places to go on from."""

    def __init__(self, tree: Node) -> None:
        """Raises UnknownSyntax for a tree that is too large."""
        self._masks: list[int] = [0]  # 0 is the match; 0 for those that wait for nothing
        self._next: list[tuple[int, ...]] = [()]
        self._start = self._emit(tree, 0)

    def _add(self, mask: int, following: tuple[int, ...]) -> int:
        if len(self._masks) > _MAX_INSTRUCTIONS:
            raise UnknownSyntax("too large")
        self._masks.append(mask)
        self._next.append(following)
        return len(self._masks) - 1

    def _emit(self, node: Node, after: int) -> int:
        """Add a node that goes on at `after`; return where it begins."""
        if isinstance(node, Symbol):
            return self._add(node.mask, (after,))
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                after = self._emit(part, after)
            return after
        if isinstance(node, Choice):
            return self._add(0, tuple(self._emit(part, after) for part in node.parts))
        return self._emit_repeat(node, after)

    def _emit_repeat(self, node: Repeat, after: int) -> int:
        if node.most is None:
            loop = self._add(0, ())
            begin = self._emit(node.part, loop)
            self._next[loop] = (after, begin) if node.lazy else (begin, after)
            after = loop
        else:
            end = after
            for _ in range(node.most - node.least):
                begin = self._emit(node.part, after)
                after = self._add(0, (end, begin) if node.lazy else (begin, end))
        for _ in range(node.least):
            after = self._emit(node.part, after)
        return after

    def has_few_states(self) -> bool:
        alphabet = self._alphabet()
        first = self._closure((self._start,))
        seen, waiting, steps = {first}, [first], 0
        while waiting:
            state = waiting.pop()
            steps += len(alphabet)
            if steps > _MAX_STEPS:
                return False
            for symbol in alphabet:
                following = self._step(state, symbol)
                if following not in seen:
                    if len(seen) == MAX_STATES:
                        return False
                    seen.add(following)
                    waiting.append(following)
        return True

    def _alphabet(self) -> list[int]:
        """Return one symbol, as a bit, of each group of symbols that are the same to the program."""
        masks = sorted(set(self._masks))
        groups: dict[tuple[bool, ...], int] = {}
        for number in range(SYMBOLS):
            groups.setdefault(tuple(bool(mask >> number & 1) for mask in masks), 1 << number)
        return list(groups.values())

    def _step(self, state: State, symbol: int) -> State:
        masks, following = self._masks, self._next
        return self._closure(following[at][0] for at in state if masks[at] & symbol)

    def _closure(self, starts: Iterable[int]) -> State:
        """Return where threads wait that begin at `starts`, without taking a symbol."""
        found: dict[int, None] = {}
        seen: set[int] = set()
        stack = list(starts)[::-1]
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            if self._masks[at] or not at:
                found[at] = None
            else:
                stack.extend(reversed(self._next[at]))
        return tuple(found)
