"""The work that the patterns of rules can make of one request, in steps per octet of the text they look at.

RE2 takes a step per octet where the automaton of an expression is small, else up to as many as its program
has instructions; a glob takes one. A step took 15 ns (one core, 2026-11): a path of 8 KB and 1,000 steps are
0.12 s.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Protocol

from controlplane.translate.budgets.automaton import is_small
from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    QueryCondition,
    TextKind,
)
from proxy.model.policies import Policies
from proxy.model.snapshot import PathKind, PathMatch
from proxy.routing.patterns import PatternError, origin_pattern, program_size
from proxy.routing.rank import PathRank, path_rank

_GLOB: Final = 1

Weigh = Callable[[str, bool], int]
"""Steps per octet of a regular expression; the second argument is whether it ignores case."""


class Rule(Protocol):
    """A route, planned or bound."""

    @property
    def host(self) -> str: ...
    @property
    def path(self) -> PathMatch: ...
    @property
    def conditions(self) -> tuple[Condition, ...]: ...
    @property
    def policies(self) -> Policies | None: ...


def least(pattern: str, ignore_case: bool) -> int:
    """Every expression takes as much."""
    return 1


def steps(pattern: str, ignore_case: bool) -> int:
    """Return the steps per octet of an expression. The first look at an expression takes a while."""
    return 1 if is_small(pattern, ignore_case) else instructions(pattern, ignore_case)


@lru_cache(maxsize=65536)
def instructions(pattern: str, ignore_case: bool) -> int:
    """Return the size of the program, the most steps it can take; 1 for a pattern that is no regular
    expression.
    """
    try:
        return program_size(pattern, ignore_case=ignore_case)
    except PatternError:
        return 1


class HostWork:
    """The most that a single request may cost with the rules of one host."""

    __slots__ = ("_exact", "_policies", "_prefixes", "_tried", "_weigh")

    def __init__(self, weigh: Weigh) -> None:
        self._weigh = weigh
        self._tried = 0  # of any request: patterns, and the rules with the path /
        self._policies = 0  # the most of one rule
        self._exact: dict[str, int] = {}
        self._prefixes: dict[str, int] = {}

    def add(self, rule: Rule) -> None:
        work = _of_conditions(rule.conditions, self._weigh)
        rank, value = path_rank(rule.path), rule.path.value
        if rank is PathRank.PATTERN:
            is_glob = rule.path.kind is PathKind.GLOB
            work += _GLOB if is_glob else self._weigh(value, rule.path.ignore_case)
        if rank in (PathRank.PATTERN, PathRank.ROOT):
            self._tried += work
        elif work:
            group = self._exact if rank is PathRank.EXACT else self._prefixes
            group[value.rstrip("/")] = group.get(value.rstrip("/"), 0) + work
        if rule.policies is not None:
            self._policies = max(self._policies, _of_policies(rule.policies, self._weigh))

    def most(self) -> int:
        found = max((self._of_path(path) for path in {*self._exact, *self._prefixes}), default=0)
        return self._tried + self._policies + found

    def _of_path(self, path: str) -> int:
        total, prefix = self._exact.get(path, 0), path
        while prefix:
            total += self._prefixes.get(prefix, 0)
            prefix = prefix[: max(prefix.rfind("/"), 0)]
        return total


def work_within(rules: Sequence[Rule], most: int) -> dict[str, int]:
    """Return the work of a request to each host, exact enough to compare it with `most`."""
    rough = work_by_host(rules, instructions)
    if max(rough.values(), default=0) <= most:
        return rough
    lowest = work_by_host(rules, least)
    return lowest if max(lowest.values()) > most else work_by_host(rules, steps)


def positive_work(rules: Sequence[Rule], most: int) -> dict[str, int]:
    """Return the same, of those hosts where there is any."""
    return {host: work for host, work in work_within(rules, most).items() if work}


def work_by_host(rules: Iterable[Rule], weigh: Weigh) -> dict[str, int]:
    """Return the most that a request to each host may cost."""
    hosts: dict[str, HostWork] = {}
    for rule in rules:
        host = hosts.get(rule.host)
        if host is None:
            host = hosts[rule.host] = HostWork(weigh)
        host.add(rule)
    return {name: host.most() for name, host in hosts.items()}


def _of_conditions(conditions: Iterable[Condition], weigh: Weigh) -> int:
    total = 0
    for condition in conditions:
        if isinstance(condition, (HeaderCondition, HostCondition)):
            total += _of_texts(condition.kind, condition.patterns, weigh)
        elif isinstance(condition, (CookieCondition, QueryCondition)):
            total += _of_texts(condition.kind, [pattern for _, pattern in condition.pairs], weigh)
    return total


def _of_texts(kind: TextKind, patterns: Sequence[str], weigh: Weigh) -> int:
    if kind is TextKind.REGEX:
        return sum(weigh(pattern, False) for pattern in patterns)
    if kind is TextKind.GLOB:
        return sum(_GLOB for pattern in patterns if "*" in pattern or "?" in pattern)
    return 0


def _of_policies(policies: Policies, weigh: Weigh) -> int:
    total = sum(weigh(pattern, True) for pattern in _origins(policies))
    for rule in policies.response_rules:
        total += _of_conditions(rule.headers, weigh)
    return total


def _origins(policies: Policies) -> Iterator[str]:
    if policies.cors is not None:
        for origin in policies.cors.origins:
            if "*" in origin and origin != "*":
                yield origin_pattern(origin)
