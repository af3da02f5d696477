"""`fleetgate failback`: lets clusters back that an Ingress with `fleetgate.io/failback: manual` holds out."""

from pathlib import Path
from typing import Any

import click

from controlplane.cli.adminapi import AdminAddress, admin_options, ask
from controlplane.cli.output import echo_json

EXAMPLES = """\b
Examples:
  fleetgate failback shop/web
  fleetgate failback shop/web --cluster cluster-1 -o json
\b
Exit codes: 0 done, also when nothing is held out, 2 wrong usage, 3 the gateway does not answer.
"""


@click.command(name="failback", epilog=EXAMPLES)
@click.argument("ingress", metavar="NAMESPACE/INGRESS")
@click.option(
    "--cluster", default="", metavar="ID", help="Cluster to let back. [default: every cluster held out]"
)
@admin_options
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(ingress: str, cluster: str, admin: str, admin_token_file: Path | None, output: str) -> None:
    """Let clusters back that have failed, and that fleetgate.io/failback: manual holds out of an Ingress.

    Their share grows over 8 s. Each replica of a gateway holds out the clusters that it has seen fail: run
    the command for each replica.
    """
    question = {"ingress": ingress, "cluster": cluster}
    found = ask(AdminAddress(admin, admin_token_file), "/api/v1/failback", question, "letBack")
    if output == "json":
        echo_json("Failback", found)
    else:
        click.echo("\n".join(lines(found, cluster)))


def lines(found: dict[str, Any], cluster: str) -> list[str]:
    """Return the answer in words; `cluster` is the requested one, "" for all."""
    if not found["letBack"]:
        held = f"{cluster} is not held" if cluster else "no cluster is held"
        return [f"{held} out of {found['ingress']}"]
    return [_line(each) for each in found["letBack"]]


def _line(back: dict[str, Any]) -> str:
    what = f"{back['cluster']} is let back for {back['service']}"
    if back["serves"]:
        return f"{what}: its share grows over 8 s (held out since {back['since']})"
    return f"{what}: it does not serve, and comes back as soon as it does (held out since {back['since']})"
