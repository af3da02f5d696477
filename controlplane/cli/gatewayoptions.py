"""The options of `fleetgate run` that change how objects are translated; other verbs have them, too."""

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controlplane.cli.failure import Failure

if TYPE_CHECKING:
    from controlplane.translate.model import Facts, Tenancy
    from proxy.model.limits import Limits

F = TypeVar("F", bound=Callable[..., Any])


def parse_limits_option(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> "Limits":
    from proxy.model.limits import LimitError, parse_limits

    settings: dict[str, str] = {}
    for value in values:
        name, equals, number = value.partition("=")
        if not equals:
            raise Failure(f"--limit {value!r} is not NAME=VALUE; write e.g. --limit max-connections=5000")
        if name in settings:
            raise Failure(f"--limit {name} is given twice; give it once")
        settings[name] = number
    try:
        return parse_limits(settings)
    except LimitError as error:
        raise Failure(f"--limit {error}") from None


def parse_networks(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise Failure(f"--trusted-proxy {value!r} is no network: {error}; e.g. 10.0.0.0/8") from None
    return values


def tenancy_options(command: F) -> F:
    """Add --host-ownership and --cross-namespace: `host_ownership` and `cross_namespace`, both str."""
    ownership = click.option(
        "--host-ownership",
        type=click.Choice(("shared", "namespace")),
        default="shared",
        show_default=True,
        envvar="FLEETGATE_HOST_OWNERSHIP",
        help="Namespaces whose rules for a host count. shared: all; namespace: only the namespace with"
        " the oldest Ingress of the host.",
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


def gateway_options(command: F) -> F:
    """Add those of `tenancy_options`, and --limit and --trusted-proxy: `limits` and `trusted_proxies`."""
    limits = click.option(
        "--limit",
        "limits",
        multiple=True,
        callback=parse_limits_option,
        envvar="FLEETGATE_LIMITS",
        metavar="NAME=VALUE",
        help="A limit of clients, endpoints or Ingresses, see docs/limits.md; repeatable.",
    )
    proxies = click.option(
        "--trusted-proxy",
        "trusted_proxies",
        multiple=True,
        callback=parse_networks,
        envvar="FLEETGATE_TRUSTED_PROXIES",
        metavar="CIDR",
        help="Network of proxies whose X-Forwarded-For and X-Forwarded-Proto count; repeatable.",
    )
    return limits(proxies(tenancy_options(command)))


def tenancy(host_ownership: str, cross_namespace: str) -> "Tenancy":
    from controlplane.translate.model import CrossNamespace, HostOwnership, Tenancy

    return Tenancy(HostOwnership(host_ownership), CrossNamespace(cross_namespace))


def facts(
    host_ownership: str, cross_namespace: str, limits: "Limits", trusted_proxies: tuple[str, ...]
) -> "Facts":
    """Return the facts that a gateway with these options has before its first object."""
    from controlplane.translate.model import Facts

    return Facts(
        limits=limits,
        trusted_proxies=trusted_proxies,
        tenancy=tenancy(host_ownership, cross_namespace),
    )
