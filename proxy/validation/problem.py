"""A value that cannot be used."""

from collections.abc import Iterator
from typing import NamedTuple


class Problem(NamedTuple):
    """`part` is the field of the struct that has it: `host`, or `policies.cors.headers`."""

    part: str
    value: str
    problem: str  # the text behind the value in a sentence: "is not a host name"
    allowed: str

    def __str__(self) -> str:
        return f"{self.part} {self.value!r} {self.problem}; allowed: {self.allowed}"


Problems = Iterator[Problem]


def within(part: str, problems: Problems) -> Problems:
    """Yield `problems` of a part, with the names of the parts around it."""
    for found in problems:
        yield found._replace(part=f"{part}.{found.part}")
