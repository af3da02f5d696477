"""`fleetgate explain`: the route of a request and why, live or from files; the meaning of a finding."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from controlplane.cli.adminapi import AdminAddress, admin_options, ask
from controlplane.cli.failure import Failure
from controlplane.cli.gatewayoptions import facts, gateway_options
from controlplane.cli.manifests import manifest_options, read
from controlplane.cli.output import echo_json

if TYPE_CHECKING:
    from controlplane.files.translation import Checked
    from proxy.model.limits import Limits

EXAMPLES = """\b
Examples:
  fleetgate explain GET http://shop.example.com/cart/7
  fleetgate explain GET http://127.0.0.1:8001/cart -H 'Host: shop.example.com' -H 'stage: gray'
  fleetgate explain POST http://shop.example.com/pay --cookie user=7 --client 10.1.2.3 --all
  fleetgate explain GET http://shop.example.com/ -f manifests/ -o json
  fleetgate explain FG0307
\b
Exit codes: 0 a route takes the request, 1 no route does, 2 wrong usage, 3 the gateway does not answer.
"""

_CODE: Final = re.compile(r"FG\d{4}", re.IGNORECASE)


@click.command(name="explain", epilog=EXAMPLES)
@click.argument("method", metavar="METHOD|CODE")
@click.argument("url", required=False)
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Repeatable.")
@click.option("--cookie", "cookies", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option(
    "--client", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address of the client."
)
@click.option("--all", "all_", is_flag=True, help="Show also routes that are far from a match.")
@manifest_options(required=False)
@gateway_options
@admin_options
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.pass_context
def command(
    ctx: click.Context,
    method: str,
    url: str | None,
    headers: tuple[str, ...],
    cookies: tuple[str, ...],
    client: str,
    all_: bool,
    paths: tuple[str, ...],
    namespace: str,
    members: dict[str, list[str]],
    dialect: str | None,
    host_ownership: str,
    cross_namespace: str,
    limits: "Limits",
    trusted_proxies: tuple[str, ...],
    admin: str,
    admin_token_file: Path | None,
    output: str,
) -> None:
    """Show which route a request takes, and why it does not take the others. No request is sent.

    Without -f the running gateway answers. With -f the command reads manifests and contacts no server: give
    those of the options below that the gateway was started with.

    With the code of a finding instead of a request: show the meaning of the finding, and its fix.
    """
    if url is None:
        _explain_code(method, output)
        return
    question = {
        "method": method,
        "url": url,
        "headers": [_header(header) for header in headers] + [("cookie", cookie) for cookie in cookies],
        "client": client,
        "all": all_,
    }
    _check_encoding(method, url, client, *headers, *cookies)
    if paths:
        known = facts(host_ownership, cross_namespace, limits, trusted_proxies)
        found = _offline(read(paths, members, namespace, dialect, known), question)
    else:
        found = ask(AdminAddress(admin, admin_token_file), "/api/v1/explain", question, "considered")
    if output == "json":
        echo_json("Explanation", found)
    else:
        from controlplane.cli.explanation import lines

        click.echo("\n".join(lines(found)))
    ctx.exit(found["chosen"] is None)


def _explain_code(code: str, output: str) -> None:
    """Print the entry of a finding code. Raises Failure."""
    from controlplane.cli import findings

    if _CODE.fullmatch(code) is None:
        raise Failure(f"{code} needs a URL; write e.g. fleetgate explain GET http://shop.example.com/cart")
    found = findings.explained(code)
    if output == "json":
        echo_json("Finding", findings.as_json(found))
    else:
        click.echo(findings.text(found))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Failure(f"-H {text!r} is not 'NAME: VALUE'; write e.g. -H 'stage: gray'")
    return name.strip(), value.strip()


def _check_encoding(*texts: str) -> None:
    """Raise Failure for octets that are no UTF-8: they come as surrogates, which JSON cannot carry."""
    for text in texts:
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise Failure(f"{text!a} is not UTF-8; write such octets as %XX")


def _offline(checked: "Checked", question: Any) -> Any:
    """Return the explanation that a gateway with these manifests would give."""
    import msgspec

    from controlplane.admin.explain import explanation
    from controlplane.admin.question import Question
    from controlplane.admin.state import State

    for finding in checked.findings:
        if finding.level == "error":
            click.echo(f"{finding.place}: error {finding.code} {finding.text}", err=True)
    translation = checked.translation
    state = State(0.0, 0.0, 0, snapshot=translation.snapshot, diagnostics=translation.diagnostics)
    try:
        asked = msgspec.convert(question, Question)
        return explanation(state, translation.snapshot, asked, checked.ingresses)
    except ValueError as error:  # QuestionError, or RouteError of an expression that is none
        raise Failure(str(error)) from None
