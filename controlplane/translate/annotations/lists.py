"""Comma lists in annotation values."""


def comma_list(text: str) -> tuple[str, ...]:
    """Return the items of a comma list without spaces, empty items and repetitions."""
    return tuple(dict.fromkeys(item for item in (part.strip() for part in text.split(",")) if item))
