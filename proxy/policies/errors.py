"""Errors of compiling a policy."""

from proxy.validation.problem import Problems


class PolicyError(ValueError):
    """A policy cannot be used; the message names the value and the allowed ones."""


def demand(problems: Problems) -> None:
    """Raise PolicyError for the first problem. The translation asks for all of them before it publishes."""
    for problem in problems:
        raise PolicyError(str(problem))
