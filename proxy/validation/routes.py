"""The problems of a whole route. Its path and conditions are compiled to see whether that works."""

from proxy.model.actions import Action
from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
)
from proxy.model.grammar import TOKEN
from proxy.model.policies import Policies
from proxy.model.snapshot import PathMatch, Route
from proxy.routing.conditions import compile_condition
from proxy.routing.match import RouteError, compile_path
from proxy.validation.actions import of_action
from proxy.validation.policies import of_policies
from proxy.validation.problem import Problem, Problems, within

_EXPRESSION = "a regular expression of RE2"


def of_route(route: Route) -> Problems:
    """Yield a problem for each value of a route that a worker could not use."""
    yield from of_path_match(route.path)
    for condition in route.conditions:
        yield from of_condition(condition)
    yield from of_what_is_done(route.action, route.policies)


def of_what_is_done(action: Action, policies: Policies | None) -> Problems:
    yield from within("action", of_action(action))
    if policies is not None:
        yield from within("policies", of_policies(policies))


def of_path_match(path: PathMatch) -> Problems:
    try:
        compile_path(path)
    except RouteError as error:
        yield Problem("path", path.value, str(error), _EXPRESSION)


def of_condition(condition: Condition) -> Problems:
    part, values = _values(condition)
    if isinstance(condition, HeaderCondition) and TOKEN.fullmatch(condition.name) is None:
        yield Problem(
            "conditions.header", condition.name, "is not the name of a header", "letters, digits, -"
        )
    if isinstance(condition, MethodCondition):
        for method in condition.methods:
            if TOKEN.fullmatch(method) is None:
                yield Problem("conditions.method", method, "is not a method", "GET, HEAD, POST, …")
    try:
        compile_condition(condition)
    except ValueError as error:
        yield Problem(f"conditions.{part}", ", ".join(values), f"cannot be used: {error}", _EXPRESSION)


def _values(condition: Condition) -> tuple[str, tuple[str, ...]]:
    """Return the kind of a condition and the values it compares with."""
    match condition:
        case HeaderCondition():
            return "header", condition.patterns
        case HostCondition():
            return "host", condition.patterns
        case MethodCondition():
            return "method", condition.methods
        case SourceCondition():
            return "source", condition.networks
        case CookieCondition():
            return "cookie", tuple(pattern for _, pattern in condition.pairs)
        case QueryCondition():
            return "query", tuple(pattern for _, pattern in condition.pairs)
