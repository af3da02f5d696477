"""The options that say what the namespaces of one gateway may do to each other."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def tenancy_options(command: F) -> F:
    ownership = click.option(
        "--host-ownership",
        type=click.Choice(("shared", "namespace")),
        default="shared",
        show_default=True,
        envvar="FLEETGATE_HOST_OWNERSHIP",
        help="namespace: a host is for the namespace only that has its oldest Ingress. shared: for all.",
    )
    references = click.option(
        "--cross-namespace",
        type=click.Choice(("grant", "allow")),
        default="grant",
        show_default=True,
        envvar="FLEETGATE_CROSS_NAMESPACE",
        help="Condition on which an Ingress may refer to another namespace: a ReferenceGrant there, or none.",
    )
    return ownership(references(command))
