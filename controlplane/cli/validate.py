"""`fleetgate validate`: manifests through the translation that the gateway runs, without a server."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from controlplane.cli.gatewayoptions import facts, gateway_options
from controlplane.cli.manifests import manifest_options, read
from controlplane.cli.output import coloured, counted, echo_json

if TYPE_CHECKING:
    from controlplane.files.finding import Finding
    from controlplane.files.translation import Checked
    from proxy.model.limits import Limits

EXAMPLES = """\b
Examples:
  fleetgate validate -f manifests/
  fleetgate validate -f ingress.yaml --strict
  fleetgate validate -f fleet/ --member cluster-1=clusters/one/ --member cluster-2=clusters/two/
  helm template . | fleetgate validate -f - -o json
  fleetgate validate -f manifests/ -o github
\b
Exit codes: 0 no errors, 1 errors (with --strict: or warnings), 2 wrong usage.
"""


@click.command(name="validate", epilog=EXAMPLES)
@manifest_options(required=True)
@gateway_options
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json", "github")),
    default="text",
    show_default=True,
    help="github: annotations of a workflow run.",
)
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    namespace: str,
    members: dict[str, list[str]],
    dialect: str | None,
    host_ownership: str,
    cross_namespace: str,
    limits: "Limits",
    trusted_proxies: tuple[str, ...],
    strict: bool,
    output: str,
) -> None:
    """Check manifests with the gateway's own translation. The command contacts no server.

    Give those of the options below that the gateway was started with.
    """
    known = facts(host_ownership, cross_namespace, limits, trusted_proxies)
    checked = read(paths, members, namespace, dialect, known)
    _FORMATS[output](checked)
    fatal = ("error", "warning") if strict else ("error",)
    ctx.exit(any(finding.level in fatal for finding in checked.findings))


def _text(checked: "Checked") -> None:
    for finding in checked.findings:
        level = coloured(finding.level, finding.level)
        click.echo(f"{finding.place}: {level} {finding.code} {finding.text}")
    for note in checked.notes:
        click.echo(f"note: {note}")
    click.echo(_summary(checked))


def _github(checked: "Checked") -> None:
    """Print workflow commands; in their values %, line ends, and in properties : and , are escaped."""
    kinds = {"error": "error", "warning": "warning", "info": "notice"}
    for finding in checked.findings:
        place = finding.place
        at = f"file={_escaped(place.file)},line={place.line},col={place.column},title={finding.code}"
        text = finding.text.replace("%", "%25")
        click.echo(f"::{kinds[finding.level]} {at}::{text}")
    click.echo(_summary(checked))


def _escaped(value: str) -> str:
    for char, code in (("%", "%25"), (":", "%3A"), (",", "%2C")):
        value = value.replace(char, code)
    return value


def _json(checked: "Checked") -> None:
    echo_json(
        "Validation",
        {
            "findings": [_finding(finding) for finding in checked.findings],
            "notes": list(checked.notes),
            "summary": {**_levels(checked), "objects": checked.objects, "files": checked.files},
        },
    )


def _finding(finding: "Finding") -> dict[str, Any]:
    return {
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "level": finding.level,
        "code": finding.code,
        "object": finding.object,
        "field": finding.field,
        "value": finding.value,
        "message": finding.message,
        "allowed": finding.allowed,
        "fix": finding.fix,
    }


def _summary(checked: "Checked") -> str:
    levels = _levels(checked)
    found = ", ".join(
        counted(levels[level + "s"], level) for level in ("error", "warning") if levels[level + "s"]
    )
    others = f" ({counted(checked.others, 'object')} of other kinds not read)" if checked.others else ""
    routes = counted(checked.served_routes, "route")
    checks = f"{counted(checked.objects, 'object')} in {counted(checked.files, 'file')}, {routes}{others}"
    return f"{found or 'no errors'}: {checks}"


def _levels(checked: "Checked") -> dict[str, int]:
    counts = Counter(finding.level for finding in checked.findings)
    return {"errors": counts["error"], "warnings": counts["warning"], "infos": counts["info"]}


_FORMATS: Final[dict[str, Callable[["Checked"], None]]] = {"text": _text, "json": _json, "github": _github}
