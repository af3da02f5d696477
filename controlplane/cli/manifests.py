"""The options of every verb that reads manifests: -f, -n and --member."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controlplane.cli.failure import Failure
from controlplane.cli.run import CLUSTER_ID
from controlplane.translate.dialects import Dialect

if TYPE_CHECKING:
    from controlplane.files.translation import Checked
    from controlplane.translate.model import Facts

F = TypeVar("F", bound=Callable[..., Any])


def member_files(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for value in values:
        cluster, equals, path = value.partition("=")
        if not equals or not path or not CLUSTER_ID.fullmatch(cluster):
            raise Failure(f"--member {value!r} is not ID=PATH; write e.g. --member cluster-1=clusters/one/")
        members.setdefault(cluster, []).append(path)
    return members


def manifest_options(*, required: bool, members: bool = True) -> Callable[[F], F]:
    options = [
        click.option(
            "-f",
            "--filename",
            "paths",
            multiple=True,
            required=required,
            metavar="PATH",
            help="Manifest, directory of manifests (read recursively), or - for standard input; repeatable.",
        ),
        click.option(
            "-n",
            "--namespace",
            default="default",
            show_default=True,
            help="Namespace for objects without one.",
        ),
    ]
    if members:
        options.append(
            click.option(
                "--member",
                "members",
                multiple=True,
                callback=member_files,
                metavar="ID=PATH",
                help="Services and EndpointSlices of a member cluster; repeatable. Without it, backends"
                " are not checked.",
            )
        )
        options.append(
            click.option(
                "--dialect",
                type=click.Choice(tuple(dialect.lower() for dialect in Dialect)),
                help="Dialect of Ingresses that no gateway in the files takes; default: the"
                " dialect that their class and annotations show.",
            )
        )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read(
    paths: Iterable[str],
    members: Mapping[str, Iterable[str]],
    namespace: str,
    dialect: str | None,
    facts: "Facts",
) -> "Checked":
    """Return the translation of the files for a gateway that knows `facts`. Raises Failure."""
    from controlplane.files.reading import FileProblem
    from controlplane.files.translation import check

    try:
        chosen = Dialect(dialect.upper()) if dialect else None
        return check(paths, members, namespace, chosen, facts)
    except FileProblem as problem:
        raise Failure(str(problem)) from None
