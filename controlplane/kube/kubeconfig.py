"""A kubeconfig as values: which server, which CA, which user. Nothing is opened or connected here."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from controlplane.kube.errors import ConfigError
from controlplane.yamldepth import too_deep


class ClusterEntry(msgspec.Struct, frozen=True, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class UserEntry(msgspec.Struct, frozen=True, rename="kebab"):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    username: str = ""
    password: str = ""
    exec: dict[str, Any] | None = None
    auth_provider: dict[str, Any] | None = None
    impersonate: str = msgspec.field(default="", name="as")


class ContextEntry(msgspec.Struct, frozen=True):
    cluster: str = ""
    user: str = ""


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: ClusterEntry


class _NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: UserEntry | None = None


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: ContextEntry


class _Document(msgspec.Struct, frozen=True):
    current_context: str | None = msgspec.field(default=None, name="current-context")
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


class Selected(msgspec.Struct, frozen=True):
    """The cluster and user that a context selects. `folder` is the start of relative file names."""

    label: str  # how messages call this kubeconfig
    context: str
    cluster: ClusterEntry
    user: UserEntry
    folder: Path


MAX_BYTES = 512 << 10
MAX_DEPTH = 32

FOREIGN = ("certificate_authority", "client_certificate", "client_key", "token_file", "exec", "auth_provider")
"""Fields that read files or run programs of the gateway's machine.

A kubeconfig from a Secret must not use them: an author of Secrets on the Fleet could run commands here, or
send our files to another server.
"""


def read_kubeconfig(path: Path) -> dict[str, Any]:
    """Return the document in the file `path`. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"kubeconfig {path}: no such file; give the path of an existing kubeconfig"
        ) from None
    except OSError as error:
        raise ConfigError(f"kubeconfig {path}: cannot be read: {error.strerror}") from None
    return parse_kubeconfig(text, f"kubeconfig {path}")


def parse_kubeconfig(text: bytes, label: str) -> dict[str, Any]:
    """Return the document in `text`. Raises ConfigError, without any of the text in it."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{label}: {len(text)} bytes; at most {MAX_BYTES} are read")
    try:
        document = _load(text, label)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{label}: no valid YAML{where}") from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"{label}: no valid YAML") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{label}: empty or not a mapping; expected a kubeconfig")
    return document


def _load(text: bytes, label: str) -> Any:
    """As yaml.safe_load, by libyaml where it is: ten times faster, and this runs on the event loop.

    Raises YAMLError, and ConfigError where the text is nested too deeply.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if too_deep(text, MAX_DEPTH, loader) is not None:
        raise ConfigError(
            f"{label}: nested more than {MAX_DEPTH} levels deep; a kubeconfig has less than ten"
        )
    composer = loader(text)
    try:
        return composer.get_single_data()
    finally:
        composer.dispose()


def select(document: dict[str, Any], context: str | None, label: str, folder: Path | None) -> Selected:
    """Return the cluster and user that `context` (None: the current one) selects.

    `folder` None marks a document that came over the network. Raises ConfigError.
    """
    config = _convert(document, label)
    name = context if context is not None else config.current_context or ""
    if not name:
        raise ConfigError(f"{label}: has no current-context; name a context")
    chosen = {entry.name: entry.context for entry in config.contexts or ()}
    if name not in chosen:
        raise ConfigError(f'{label}: has no context "{name}"; {_known(list(chosen))}')
    clusters = {entry.name: entry.cluster for entry in config.clusters or ()}
    cluster = clusters.get(chosen[name].cluster)
    if cluster is None:
        raise ConfigError(f'{label}: context "{name}" names no known cluster; {_known(list(clusters))}')
    users = {entry.name: entry.user or UserEntry() for entry in config.users or ()}
    user = users.get(chosen[name].user, UserEntry())
    _check(cluster, user, label, local=folder is not None)
    return Selected(label, name, cluster, user, folder or Path())


def _check(cluster: ClusterEntry, user: UserEntry, label: str, *, local: bool) -> None:
    if not _is_address(cluster.server):
        raise ConfigError(f"{label}: the server of the cluster is no http:// or https:// address")
    if user.impersonate:
        raise ConfigError(f"{label}: the user impersonates another one (field as), which is not supported")
    if local:
        return
    for field in FOREIGN:
        if getattr(cluster, field, None) or getattr(user, field, None):
            name = "tokenFile" if field == "token_file" else field.replace("_", "-")
            raise ConfigError(
                f"{label}: field {name} is not allowed in a Secret, because it reads files or runs programs "
                "of the gateway; use token or the -data fields"
            )


def _is_address(server: str) -> bool:
    try:
        parts = urlsplit(server)
        plain = parts.username is None and parts.hostname  # a password in it would show in every error
        return parts.scheme in ("https", "http") and bool(plain) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def _convert(document: dict[str, Any], label: str) -> _Document:
    try:
        return msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at ")
        field = where.strip("`").removeprefix("$.") or "document"
        raise ConfigError(f"{label}: {field}: {problem[:1].lower()}{problem[1:]}") from None


def _known(names: list[str]) -> str:
    return "it has " + ", ".join(names) if names else "it has none"
