"""Output for people and for programs: colours only for a terminal that wants them, JSON with a version."""

import json
import os
import sys
from typing import Any, Final

import click

API_VERSION: Final = "fleetgate.io/v1"
_COLOURS: Final = {"error": "red", "warning": "yellow", "info": "cyan"}


def has_colours() -> bool:
    """Return whether to colour: standard output is a terminal, and NO_COLOR (no-color.org) is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(word: str, level: str) -> str:
    return click.style(word, fg=_COLOURS.get(level), bold=True) if has_colours() else word


def echo_json(kind: str, content: dict[str, Any]) -> None:
    """Print a JSON object with its kind; keys are camelCase, as in Kubernetes."""
    document = {"apiVersion": API_VERSION, "kind": kind, **content}
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def counted(count: int, word: str) -> str:
    """Return "1 error", "2 errors"."""
    plural = word[:-1] + "ies" if word.endswith("y") else word + ("es" if word.endswith("s") else "s")
    return f"{count} {word if count == 1 else plural}"
