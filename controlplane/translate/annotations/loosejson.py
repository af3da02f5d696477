"""JSON in annotation values, read as Go's encoding/json would: keys match in any case."""

from typing import Any

import msgspec


class JsonProblem(ValueError):
    """The text is not the expected JSON; the message names the mistake in one line."""


def read_list(text: str) -> list[Any]:
    """Return the non-empty JSON array in `text`. Raises JsonProblem."""
    value = read(text)
    if not isinstance(value, list):
        raise JsonProblem("is not a JSON array")
    if not value:
        raise JsonProblem("is an empty array")
    return value


def read(text: str) -> Any:
    """Return the JSON value in `text`. Raises JsonProblem."""
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise JsonProblem("is nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise JsonProblem(f"is not JSON: {error}") from None


def fold(value: Any) -> dict[str, Any]:
    """Return an object with its keys in lower case; the last of equal keys wins. Raises JsonProblem."""
    if value is None:
        raise JsonProblem("is missing")
    if not isinstance(value, dict):
        raise JsonProblem("is not a JSON object")
    return {key.lower(): item for key, item in value.items()}


def written(value: Any) -> str:
    """Return a JSON value as a finding quotes it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
