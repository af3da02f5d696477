"""The `Authorization` header, and the refresh of its token."""

import asyncio
import importlib
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from controlplane.kube.clock import Clock
from controlplane.kube.errors import ConfigError, one_line

TOKEN_FILE_PERIOD_S = 60.0
"""client-go reads a token file again every minute; kubelet rotates it at 80 % of its life."""

PLUGIN_PERIOD_S = 60.0
PLUGIN_LEEWAY_S = 10.0
PLUGIN_TIMEOUT_S = 30.0


def bearer(token: str, label: str) -> str:
    """Return the header value for a token. Raises ConfigError for a token that no header may hold."""
    stripped = token.strip()
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise ConfigError(f"{label}: the token has characters that no token has")
    return f"Bearer {stripped}"


class Credentials(Protocol):
    """Gives the Authorization header. Times are monotonic: a clock jump expires nothing."""

    async def authorization(self) -> str:
        """Return the header's value, "" for none. Raises ConfigError."""

    def forget(self) -> None:
        """Drop the cached token, because the server refused it."""


class StaticCredentials:
    """A token or a password of the kubeconfig itself, or nothing at all."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    async def authorization(self) -> str:
        return self._value

    def forget(self) -> None:
        """There is no cached token to drop."""


class TokenFileCredentials:
    """A token in a file that another program rotates."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._value = ""
        self._read_at = 0.0

    async def authorization(self) -> str:
        now = self._clock.monotonic()
        if not self._value or now - self._read_at >= TOKEN_FILE_PERIOD_S:
            self._value = bearer(self._read(), f"token file {self._path}")
            self._read_at = now
        return self._value

    def forget(self) -> None:
        self._value = ""

    def _read(self) -> str:
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise ConfigError(f"token file {self._path}: cannot be read: {cause}") from None
        if not token:
            raise ConfigError(f"token file {self._path}: is empty")
        return token


class PluginCredentials:
    """An exec plugin or an auth-provider, run by kubernetes_asyncio.

    Its import takes 0.35–0.7 s and 38 MiB on top of aiohttp, because its package loads every
    model of the Kubernetes API; so it is imported only when a kubeconfig names a plugin.
    """

    def __init__(self, path: Path, context: str, label: str, clock: Clock) -> None:
        self._path = path
        self._context = context
        self._label = label
        self._clock = clock
        self._value: str | None = None
        self._good_until = 0.0
        self.cert_file = ""
        self.key_file = ""
        self.api_key: dict[str, str] = {}  # load_kube_config writes into these attributes

    async def authorization(self) -> str:
        if self._value is None or self._clock.monotonic() >= self._good_until:
            await self.refresh()
        return self._value or ""

    def forget(self) -> None:
        self._value = None

    async def refresh(self) -> None:
        """Run the plugin now. Raises ConfigError."""
        try:
            async with asyncio.timeout(PLUGIN_TIMEOUT_S):
                loader = await self._load()
        except TimeoutError:
            raise ConfigError(
                f"{self._label}: the credential plugin did not answer in {PLUGIN_TIMEOUT_S:.0f} s"
            ) from None
        except Exception as error:
            # The library and the plugins raise any exception; the gateway must only report it.
            raise ConfigError(f"{self._label}: the credential plugin failed: {one_line(error)}") from None
        token = self.api_key.get("BearerToken", "")
        self._value = " ".join(token.split())
        self._good_until = self._clock.monotonic() + self._lifetime(loader)

    async def _load(self) -> Any:
        module = await asyncio.to_thread(importlib.import_module, "kubernetes_asyncio.config.kube_config")
        return await module.load_kube_config(
            config_file=str(self._path), context=self._context, client_configuration=self
        )

    def _lifetime(self, loader: Any) -> float:
        """Seconds the answer may be used: exec plugins say it, auth-providers are asked every minute."""
        if loader.provider:
            return PLUGIN_PERIOD_S
        expiry = getattr(loader, "exec_plugin_expiry", None)
        if not isinstance(expiry, datetime):
            return float("inf")
        return max((expiry - self._clock.now()).total_seconds() - PLUGIN_LEEWAY_S, PLUGIN_LEEWAY_S)
