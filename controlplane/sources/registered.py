"""Which member clusters are registered, and by which credentials."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from controlplane.kube.errors import ConfigError
from controlplane.kube.kubeconfig import parse_kubeconfig, select
from controlplane.resources.secret import Secret
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.registrations import Claim, Owner, assign

KUBECONFIG_KEY = "kubeconfig"


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the credentials of a member come from. `problem` is set when they cannot be used.

    Two are equal when their texts are: comparing documents with YAML aliases can take for ever.
    """

    origin: str
    kubeconfig: Path | dict[str, Any] | None = field(compare=False)
    text: str = ""
    problem: str = ""

    def __repr__(self) -> str:
        return f"Registration({self.origin})"  # a kubeconfig must not get into a log by way of a repr


class Registered(msgspec.Struct, frozen=True):
    """The registered members by id, and the data for the next registration; see `Assigned`."""

    members: Mapping[str, Registration]
    owners: Mapping[str, Owner]
    moved: Mapping[str, str]
    findings: tuple[Diagnostic, ...]


NOBODY = Registered({}, {}, {}, ())


def registrations(
    flags: Mapping[str, Path], secrets: Mapping[str, Secret], before: Registered = NOBODY
) -> Registered:
    """Return the members that --member flags and the Secrets of the gateway's namespace register.

    `before` is the last returned value, or the owners from before a restart.
    """
    members = {
        cluster: Registration(f"--member {cluster}", path, str(path)) for cluster, path in flags.items()
    }
    read = {secret.metadata.name: _from_secret(f"Secret {key}", secret) for key, secret in secrets.items()}
    claims = (Claim(secret.metadata, _server(read[secret.metadata.name])) for secret in secrets.values())
    assigned = assign(flags.keys(), claims, before.owners, before.moved)
    members |= {cluster: read[name] for cluster, name in assigned.secrets.items()}
    return Registered(members, assigned.owners, assigned.moved, assigned.findings)


def _from_secret(origin: str, secret: Secret) -> Registration:
    data = secret.data.get(KUBECONFIG_KEY)
    if not data:
        problem = f"{origin}: has no data key {KUBECONFIG_KEY}; put the kubeconfig there"
        return Registration(origin, None, problem=problem)
    try:
        text = base64.b64decode(data, validate=True)
        return Registration(origin, parse_kubeconfig(text, f"{origin}: {KUBECONFIG_KEY}"), data)
    except (binascii.Error, ValueError):
        problem = f"{origin}: data key {KUBECONFIG_KEY} is no valid base64"
        return Registration(origin, None, data, problem)
    except ConfigError as error:
        return Registration(origin, None, data, str(error))


def _server(registration: Registration) -> str:
    """Return the address of the API server, "" where the kubeconfig cannot be used."""
    if not isinstance(registration.kubeconfig, dict):
        return ""
    try:
        return select(registration.kubeconfig, None, registration.origin, None).cluster.server
    except ConfigError:
        return ""
