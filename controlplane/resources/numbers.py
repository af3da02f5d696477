"""Numbers in objects of users, which may be written as strings."""

Number = int | float | str | bool | None
"""A number as the user wrote it; the translation decides whether it can be used."""
