"""What compiling a policy raises."""

from proxy.validation.problem import Problems


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the value and says what is allowed."""


def demand(problems: Problems) -> None:
    """Raise PolicyError for the first problem. The translation asks for all of them before it publishes."""
    for problem in problems:
        raise PolicyError(str(problem))
