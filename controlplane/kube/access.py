"""How to get at one API server: address, TLS, credentials. From a kubeconfig or from inside a pod."""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.credentials import (
    Credentials,
    PluginCredentials,
    StaticCredentials,
    TokenFileCredentials,
    bearer,
)
from controlplane.kube.errors import ConfigError
from controlplane.kube.kubeconfig import ClusterEntry, Selected, read_kubeconfig, select

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ServerAccess(msgspec.Struct, frozen=True):
    """Everything a client needs. `files` are those whose change means: load again."""

    server: str  # without a slash at the end
    tls: ssl.SSLContext | None
    credentials: Credentials
    tls_server_name: str = ""
    proxy: str = ""
    files: tuple[Path, ...] = ()

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """Return modification time and size of each file."""
        return tuple(map(_stamp, self.files))


Source = Path | dict[str, Any] | None
"""A kubeconfig file, a kubeconfig that came over the network, or None: the pod's service account."""


async def load_access(
    source: Source, context: str | None = None, clock: Clock = SYSTEM_CLOCK
) -> ServerAccess:
    """Return the access that `source` describes. Raises ConfigError."""
    if source is None:
        return _in_cluster(clock)
    if isinstance(source, dict):
        return await _from_selected(select(source, context, "kubeconfig", None), None, clock)
    selected = select(read_kubeconfig(source), context, f"kubeconfig {source}", source.resolve().parent)
    return await _from_selected(selected, source, clock)


def _in_cluster(clock: Clock) -> ServerAccess:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigError("not running in a pod (KUBERNETES_SERVICE_HOST is not set); name a kubeconfig file")
    authority = f"[{host}]" if ":" in host else host
    ca = SERVICE_ACCOUNT / "ca.crt"
    return ServerAccess(
        server=f"https://{authority}:{port}",
        tls=_trusting(_read(ca, "service account").decode("ascii", "replace"), "service account"),
        credentials=TokenFileCredentials(SERVICE_ACCOUNT / "token", clock),
        files=(ca,),
    )


async def _from_selected(selected: Selected, path: Path | None, clock: Clock) -> ServerAccess:
    cluster = selected.cluster
    credentials = await _credentials(selected, path, clock)
    named = (cluster.certificate_authority, selected.user.client_certificate, selected.user.client_key)
    return ServerAccess(
        server=cluster.server.rstrip("/"),
        tls=_tls(selected, credentials) if cluster.server.startswith("https://") else None,
        credentials=credentials,
        tls_server_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
        files=tuple(([path] if path else []) + [selected.folder / name for name in named if name]),
    )


async def _credentials(selected: Selected, path: Path | None, clock: Clock) -> Credentials:
    user = selected.user
    if path and (user.exec is not None or user.auth_provider is not None):
        plugin = PluginCredentials(path, selected.context, selected.label, clock)
        await plugin.refresh()
        return plugin
    # client-go prefers the file, because the file is rotated.
    if user.token_file:
        return TokenFileCredentials(selected.folder / user.token_file, clock)
    if user.token:
        return StaticCredentials(bearer(user.token, selected.label))
    if user.username:
        pair = f"{user.username}:{user.password}".encode()
        return StaticCredentials("Basic " + base64.b64encode(pair).decode())
    return StaticCredentials()


def _tls(selected: Selected, credentials: Credentials) -> ssl.SSLContext:
    cluster, label = selected.cluster, selected.label
    context = _trusting(_authorities(cluster, selected.folder, label), label)
    if cluster.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if isinstance(credentials, PluginCredentials):
        pair = (credentials.cert_file, credentials.key_file)
        if all(pair):
            _use_certificate(context, *pair, label)
        return context
    user, folder = selected.user, selected.folder
    certificate = _content(user.client_certificate_data, user.client_certificate, folder, label)
    key = _content(user.client_key_data, user.client_key, folder, label)
    if certificate and key:
        with _private_file(certificate) as certificate_file, _private_file(key) as key_file:
            _use_certificate(context, certificate_file, key_file, label)
    return context


def _trusting(authorities: str, label: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=authorities or None)
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"{label}: the certificate authority is no valid PEM") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _authorities(cluster: ClusterEntry, folder: Path, label: str) -> str:
    data = _content(cluster.certificate_authority_data, cluster.certificate_authority, folder, label)
    return data.decode("ascii", "replace")


def _use_certificate(context: ssl.SSLContext, certificate: str, key: str, label: str) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError):
        raise ConfigError(f"{label}: client certificate and key are no valid PEM pair") from None


def _content(data: str, name: str, folder: Path, label: str) -> bytes:
    """Return the decoded `-data` field, or the file, or b"" when neither is given."""
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(f"{label}: a -data field is no valid base64") from None
    return _read(folder / name, label) if name else b""


def _read(path: Path, label: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{label}: file {path} cannot be read: {error.strerror}") from None


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """A file (0600) for the moment that OpenSSL needs one: it cannot load a key from memory."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
