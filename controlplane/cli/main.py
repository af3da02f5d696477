"""The `fleetgate` command. Verbs are imported when they are used: `--help` has to be instant."""

import os
import sys

from controlplane.cli.hold import hold_signals

if __name__ == "__main__":
    hold_signals()
    if not sys.flags.safe_path:
        # `python -m` searches the current directory first, where another user may have put a click.py
        os.execv(sys.executable, [sys.executable, "-P", *sys.orig_argv[1:]])

import subprocess
from importlib import import_module
from importlib.util import find_spec

import click

from controlplane.cli.failure import Unavailable
from controlplane.system import children
from proxy import __version__

VERBS = {
    "demo": ("controlplane.cli.demo", "Serve a two-cluster demo on this machine."),
    "run": ("controlplane.cli.run", "Run the gateway."),
    "validate": ("controlplane.cli.validate", "Check manifests without a server."),
    "explain": (
        "controlplane.cli.explain",
        "Show which route a request takes and why, or explain a finding.",
    ),
    "diff": ("controlplane.cli.diff", "Show the routes that an apply would change, and their traffic."),
    "failback": ("controlplane.cli.failback", "Let clusters back that are held out."),
    "annotations": ("controlplane.cli.annotations", "Show the effect of each annotation."),
    "apiserver": ("controlplane.cli.apiserver", "Run a small Kubernetes-compatible API server."),
}
"""Name of the verb: module that has it as `command`, and its line in the help."""

EMBEDDED = "controlplane.embedded"
NEED_EMBEDDED = ("demo", "apiserver")
"""Verbs of the embedded API server, which the `runtime` image leaves out (docs/embedded.md)."""


class LazyGroup(click.Group):
    """A group that knows its verbs by name before it imports them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        if cmd_name in NEED_EMBEDDED and find_spec(EMBEDDED) is None:
            raise Unavailable(
                f"`{cmd_name}` needs the embedded API server, which this installation is without: "
                "use the image `demo` (docs/embedded.md) or `pip install fleetgate`"
            )
        command: click.Command = import_module(VERBS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


def show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, and the build of the data plane of this installation."""
    if not wanted or ctx.resilient_parsing:
        return
    asked = subprocess.run(
        children.python("proxy.build"),
        env=children.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    click.echo(f"fleetgate {__version__} (data plane: {asked.stdout.strip() or 'unknown'})")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version,
    help="Show the version, and whether the data plane is compiled.",
)  # fmt: skip
def main() -> None:
    """One HTTP gateway in front of many Kubernetes clusters."""


if __name__ == "__main__":
    main()
