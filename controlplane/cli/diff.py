"""`fleetgate diff`: the changes that an apply of manifests would make in a running gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from controlplane.cli.adminapi import AdminAddress, admin_options, ask
from controlplane.cli.failure import Failure
from controlplane.cli.manifests import manifest_options
from controlplane.cli.output import coloured, counted, echo_json
from proxy import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.files.finding import Finding

EXAMPLES = """\b
Examples:
  fleetgate diff -f manifests/
  fleetgate diff -f ingress.yaml -n shop --admin 127.0.0.1:9901
  helm template . | fleetgate diff -f - -o json
  kubectl get ingress -A -o yaml | fleetgate diff -f -   (with the new version, before an upgrade)
\b
Exit codes: 0 no changes, 1 changes, 2 wrong usage, 3 the gateway does not answer.
"""

TIMEOUT_S: Final = 310.0
"""A little longer than the gateway takes before it gives up."""

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS: Final = {"added": "info", "removed": "error", "changed": "warning"}


@click.command(name="diff", epilog=EXAMPLES)
@manifest_options(required=True, members=False)
@admin_options
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    namespace: str,
    admin: str,
    admin_token_file: Path | None,
    output: str,
) -> None:
    """Show which routes would change if the manifests were applied. Nothing is applied.

    Objects that the manifests leave out stay as they are. Errors and warnings about the manifests go to
    standard error. The output also lists the Ingresses of the Fleet that the gateway refuses now, and those
    of the manifests that the version of this command would refuse.
    """
    found = _ask(paths, namespace, AdminAddress(admin, admin_token_file))
    if output == "json":
        echo_json("Difference", found)
    else:
        _echo(found)
    ctx.exit(differs(found))


def differs(found: Any) -> bool:
    return any(found[part] for part in ("changes", "listeners", "services"))


def _ask(paths: tuple[str, ...], namespace: str, admin: AdminAddress) -> Any:
    """Return the gateway's answer; report the findings at their places."""
    import msgspec

    from controlplane.files.manifests import read_manifests
    from controlplane.files.objects import FLEET_KINDS, read_objects
    from controlplane.files.reading import FileProblem, read_paths
    from controlplane.files.translation import Located, judge
    from controlplane.translate.diagnostics import Diagnostic

    try:
        manifests = read_manifests(read_paths(paths))
    except FileProblem as problem:
        raise Failure(str(problem)) from None
    objects = read_objects(manifests.objects, FLEET_KINDS, namespace)
    for finding in (*manifests.findings, *objects.findings):
        click.echo(f"{finding.place}: {finding.level} {finding.code} {finding.text}", err=True)
    if any(finding.level == "error" for finding in (*manifests.findings, *objects.findings)):
        raise Failure("the manifests cannot be applied as they are: correct the errors above")
    found = ask(admin, "/api/v1/diff", {"objects": objects.complete()}, "changes", timeout=TIMEOUT_S)
    located = Located({None: objects})
    told = (located.finding(msgspec.convert(item, Diagnostic)) for item in found["findings"])
    at_places = sorted((at for at in told if at is not None), key=lambda at: at.place)
    for at in at_places:
        if at.level != "info":
            click.echo(f"{at.place}: {at.level} {at.code} {at.text}", err=True)
    found["refusedByUpgrade"] = refused_by_upgrade(judge(manifests, {}, namespace).findings, at_places)
    return found


def refused_by_upgrade(own: "Iterable[Finding]", told: "Iterable[Finding]") -> list[dict[str, str]]:
    """Return the errors about Ingresses that this version finds, and a gateway of an older one does not.

    Which gateway takes an Ingress is known to the gateway, not to this command.
    """
    known = {(at.object, at.code, at.field) for at in told}
    return [
        {"object": at.object, "code": at.code, "field": at.field, "message": at.message, "fix": at.fix}
        for at in own
        if at.level == "error"
        and at.code[:4] != "FG01"
        and at.object.startswith("Ingress ")
        and (at.object, at.code, at.field) not in known
    ]


def _echo(found: Any) -> None:
    for change in found["changes"]:
        _echo_change(change)
    for aspect in (*found["listeners"], *found["services"]):
        before, after = aspect["before"] or "(none)", aspect["after"] or "(none)"
        click.echo(f"{coloured('~', 'warning')} {aspect['name']}  {before} -> {after}")
    _echo_refused(found)
    click.echo(_summary(found))


def _echo_refused(found: Any) -> None:
    """Print the Ingresses that the gateway refuses, or that the version of this command would refuse."""
    for item in found.get("refused", ()):  # an older gateway does not say it
        _echo_error(f"Ingress {item['namespace']}/{item['name']} is refused as it is", item)
    for item in found["refusedByUpgrade"]:
        _echo_error(f"{item['object']} would be refused after an upgrade to fleetgate {__version__}", item)


def _echo_error(text: str, item: Any) -> None:
    click.echo(f"{coloured('!', 'error')} {text}: {item['code']} {item['field']}: {item['message']}")


def _echo_change(change: Any) -> None:
    source = change["source"]
    name = f"{source['namespace']}/{source['name']}" if source["namespace"] else source["name"]
    rate = change["requestsPerSecond"]
    traffic = "" if rate is None else f"  {rate:g} requests/s"
    kind = change["change"]
    sign = coloured(_SIGNS[kind], _COLOURS[kind])
    path = f"{change['host']}{change['path']['value']} {change['path']['kind']}"
    click.echo(f"{sign} {path}  {source['kind']} {name}{traffic}")
    for aspect in change["aspects"]:
        before, after = aspect["before"] or "(none)", aspect["after"] or "(none)"
        click.echo(f"    {aspect['name']}: {before} -> {after}")


def _summary(found: Any) -> str:
    changes = found["changes"]
    if not differs(found):
        stays = "stays as it is" if found["routes"] == 1 else "stay as they are"
        return f"no changes: {counted(found['routes'], 'route')} {stays}"
    kinds = [change["change"] for change in changes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in _SIGNS)
    rate = sum(change["requestsPerSecond"] or 0.0 for change in changes)
    return f"{counts} of {counted(found['routes'], 'route')}; {rate:g} requests/s on those that run"
