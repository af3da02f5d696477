"""How the command line reports a failure: one line, an exit code, no traceback."""

from typing import IO, Any

import click


class Failure(click.ClickException):
    """Cause and cure on one line; the command or its files are wrong."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"fleetgate: {self.format_message()}", file=file, err=file is None)


class Unavailable(Failure):
    """A file, server or port that the command needs is missing or in use."""

    exit_code = 3
