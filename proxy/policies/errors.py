"""What compiling a policy raises."""


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the value and says what is allowed."""
