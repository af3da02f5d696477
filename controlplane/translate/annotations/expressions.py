"""Regular expressions in annotation values."""

from proxy.routing.patterns import PatternError, compile_regex


class PatternProblem(ValueError):
    """The text is not a regular expression; the message says why."""


def check_regex(text: str) -> None:
    """Raises PatternProblem for an expression that RE2 cannot read."""
    try:
        compile_regex(text)
    except (PatternError, UnicodeEncodeError) as error:
        raise PatternProblem(f"is not a regular expression: {error}") from None
