"""`fleetgate annotations`: the effect of each annotation, from the table that the translation reads."""

from collections.abc import Iterable
from typing import Any, Final

import click

from controlplane.cli.failure import Failure
from controlplane.cli.output import echo_json
from controlplane.translate.annotations.registry import PREFIXES, ROWS, lookup
from controlplane.translate.annotations.row import (
    ALB,
    KUBERNETES,
    MSE_GATEWAY,
    NGINX,
    OWN,
    VENDOR,
    Annotation,
    Support,
)
from controlplane.translate.diagnostics import did_you_mean

EXAMPLES = """\b
Examples:
  fleetgate annotations
  fleetgate annotations alb.ingress.kubernetes.io/cluster-weight.cluster-1
  fleetgate annotations canary-weight
  fleetgate annotations --dialect nginx --support approximated
  fleetgate annotations -o json
\b
Exit codes: 0 found, 1 no such annotation, 2 wrong usage.
"""

DIALECTS: Final[dict[str, tuple[str, ...]]] = {
    "alb": (ALB,),
    "mse": (MSE_GATEWAY, *VENDOR),
    "nginx": (NGINX,),
    "fleetgate": (OWN,),
    "kubernetes": (KUBERNETES,),
}
"""The prefixes of each."""

SUPPORT: Final[dict[str, Support]] = {support.replace(" ", "-"): support for support in Support}


class Unknown(Failure):
    """There is no such annotation."""

    exit_code = 1


@click.command(name="annotations", epilog=EXAMPLES)
@click.argument("key", required=False)
@click.option(
    "--dialect", type=click.Choice(tuple(DIALECTS)), help="Show only annotations with its prefixes."
)
@click.option("--support", type=click.Choice(tuple(SUPPORT)), help="Show only annotations with this support.")
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(key: str | None, dialect: str | None, support: str | None, output: str) -> None:
    """List the annotations, or describe one. KEY is its name, with any prefix or without."""
    rows = find(key) if key is not None else list(ROWS)
    wanted = DIALECTS.get(dialect or "", tuple(PREFIXES))
    rows = [
        row
        for row in rows
        if any(prefix in wanted for prefix in row.prefixes)
        and row.support is SUPPORT.get(support or "", row.support)
    ]
    if output == "json":
        echo_json("AnnotationList", {"items": [as_json(row) for row in rows]})
    elif key is not None:
        click.echo("\n\n".join(described(row) for row in rows))
    else:
        _echo_table(rows)


def find(key: str) -> list[Annotation]:
    """Return the rows of a key with or without prefix. Raises Unknown."""
    named = key.partition("/")[2] if "/" in key else key
    rows: list[Annotation] = lookup(key)
    for prefix in sorted(PREFIXES) if not rows else ():
        rows = [*rows, *(row for row in lookup(prefix + named) if row not in rows)]
    if not rows:
        hint = did_you_mean(named, (row.name for row in ROWS))
        raise Unknown(f"unknown annotation {key}{hint}; fleetgate annotations lists all")
    return rows


def described(row: Annotation) -> str:
    """Return all that is known of an annotation, a fact a line."""
    facts = (
        ("spelled", ", ".join(row.keys)),
        ("does", row.summary),
        ("read on", f"{row.scope} ({row.dialect} dialect)" if row.dialect else f"{row.scope} (any dialect)"),
        ("type", row.type),
        ("allowed", row.allowed),
        ("default", row.default),
        ("support", f"{row.support}: {row.note}" if row.note else str(row.support)),
        ("example", f"{row.keys[0]}: {quoted(row.example)}" if row.example else ""),
    )
    return "\n".join([row.name, *(f"  {name:<8} {fact}" for name, fact in facts if fact)])


def quoted(text: str) -> str:
    """Return a YAML string."""
    return "'" + text.replace("'", "''") + "'"


def as_json(row: Annotation) -> dict[str, Any]:
    return {
        "name": row.name,
        "keys": list(row.keys),
        "dialect": row.dialect,
        "scope": row.scope,
        "summary": row.summary,
        "type": row.type,
        "allowed": row.allowed,
        "default": row.default,
        "support": row.support,
        "note": row.note,
        "example": row.example,
    }


def _echo_table(rows: Iterable[Annotation]) -> None:
    lines = [(row.keys[0], str(row.support), row.summary) for row in rows]
    width = max((len(key) for key, _, _ in lines), default=0)
    for key, support, summary in sorted(lines):
        click.echo(f"{key:<{width}}  {support:<12}  {summary}")
