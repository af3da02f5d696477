"""Numbers as people write them in YAML: as integers or as strings of digits."""

import re

_DIGITS = re.compile(r"[0-9]{1,18}")


def integer(value: object, lowest: int, highest: int) -> int | None:
    """Return the integer that `value` is or spells, None when it is no integer in the range."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if _DIGITS.fullmatch(text) else None
    if type(value) is not int:
        return None
    return value if lowest <= value <= highest else None
