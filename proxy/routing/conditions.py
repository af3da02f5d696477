"""Compiled conditions of routes: they tell whether a request meets them, and which of its parts they look at.

Conditions that look at more than host and header fields note that in the facts (`is_particular`), because the
route found for a block of fields is remembered.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
    TextKind,
)
from proxy.routing.lists import FieldTexts
from proxy.routing.networks import Networks
from proxy.routing.parameters import CookieName, ParameterName
from proxy.routing.patterns import Texts
from proxy.routing.request import Facts


class Check(ABC):
    """A condition, ready to be asked."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    @abstractmethod
    def found(self, facts: Facts) -> Sequence[bytes]:
        """Return the values that the condition looks at; parameters and cookies as name=value."""

    @abstractmethod
    def holds(self, facts: Facts) -> bool: ...


class HeaderCheck(Check):
    __slots__ = ("_field", "_name")

    def __init__(self, condition: HeaderCondition) -> None:
        super().__init__(condition)
        self._field = FieldTexts(condition)
        self._name = self._field.name

    def found(self, facts: Facts) -> Sequence[bytes]:
        return facts.fields.values(self._name)

    def holds(self, facts: Facts) -> bool:
        values = facts.fields.values(self._name)
        return bool(values) and self._field.match(values)


class HostCheck(Check):
    __slots__ = ("_texts",)

    def __init__(self, condition: HostCondition) -> None:
        super().__init__(condition)
        self._texts = Texts(condition.kind, condition.patterns)

    def found(self, facts: Facts) -> Sequence[bytes]:
        return (facts.host,)

    def holds(self, facts: Facts) -> bool:
        return self._texts.match(facts.host)


class CookieCheck(Check):
    __slots__ = ("_pairs",)

    def __init__(self, condition: CookieCondition) -> None:
        super().__init__(condition)
        self._pairs = [
            (name.encode(), CookieName(name), texts)
            for name, texts in _by_name(condition.pairs, condition.kind).items()
        ]

    def found(self, facts: Facts) -> Sequence[bytes]:
        fields = facts.fields.values(b"cookie")
        return [
            b"%b=%b" % (text, value)
            for text, name, _ in self._pairs
            for field in fields
            for value in name.values(field)
        ]

    def holds(self, facts: Facts) -> bool:
        for field in facts.fields.values(b"cookie"):
            for _, name, texts in self._pairs:
                for value in name.values(field):
                    if texts.match(value):
                        return True
        return False


class QueryCheck(Check):
    __slots__ = ("_pairs",)

    def __init__(self, condition: QueryCondition) -> None:
        super().__init__(condition)
        self._pairs = [
            (name.encode(), ParameterName(name), texts)
            for name, texts in _by_name(condition.pairs, condition.kind).items()
        ]

    def found(self, facts: Facts) -> Sequence[bytes]:
        query = facts.line.query
        return [b"%b=%b" % (text, value) for text, name, _ in self._pairs for value in name.values(query)]

    def holds(self, facts: Facts) -> bool:
        facts.is_particular = True
        query = facts.line.query
        if not query:
            return False
        for _, name, texts in self._pairs:
            for value in name.values(query):
                if texts.match(value):
                    return True
        return False


class MethodCheck(Check):
    __slots__ = ("_methods",)

    def __init__(self, condition: MethodCondition) -> None:
        super().__init__(condition)
        self._methods = frozenset(method.encode() for method in condition.methods)

    def found(self, facts: Facts) -> Sequence[bytes]:
        return (facts.line.resource.method,)

    def holds(self, facts: Facts) -> bool:
        facts.is_particular = True
        return facts.line.resource.method in self._methods


class SourceCheck(Check):
    __slots__ = ("_networks",)

    def __init__(self, condition: SourceCondition) -> None:
        """Read the networks of `condition`. Raises ValueError."""
        super().__init__(condition)
        self._networks = Networks(condition.networks)

    def found(self, facts: Facts) -> Sequence[bytes]:
        return (facts.client,)

    def holds(self, facts: Facts) -> bool:
        facts.is_particular = True
        return self._networks.covers(facts.client)


def _by_name(pairs: Sequence[tuple[str, str]], kind: TextKind) -> dict[str, Texts]:
    patterns: dict[str, list[str]] = {}
    for name, pattern in pairs:
        patterns.setdefault(name, []).append(pattern)
    return {name: Texts(kind, wanted) for name, wanted in patterns.items()}


def compile_condition(condition: Condition) -> Check:
    """Return the compiled condition. Raises ValueError for an invalid regular expression or network."""
    match condition:
        case HeaderCondition():
            return HeaderCheck(condition)
        case CookieCondition():
            return CookieCheck(condition)
        case QueryCondition():
            return QueryCheck(condition)
        case MethodCondition():
            return MethodCheck(condition)
        case SourceCondition():
            return SourceCheck(condition)
        case HostCondition():
            return HostCheck(condition)


def is_particular(check: Check) -> bool:
    """Whether the condition looks at more than host and header fields."""
    return isinstance(check, (QueryCheck, MethodCheck, SourceCheck))
