"""The key of affinity cookies: one for all replicas, in a Secret of the gateway's own namespace on the Fleet.

Without the right to it, or without the Fleet, each gateway has a key of its own: then a client whose next
request reaches another replica is balanced anew. A copy in the state directory, which only the gateway's user
can read, keeps sessions over restarts. The key is in no snapshot, log line, metric or answer of the admin
API.
"""

import asyncio
import base64
import binascii
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from controlplane.kube.client import ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.errors import ApiError, KubeError
from controlplane.kube.lease import LeaderElector
from controlplane.publish.saver import write_atomically
from controlplane.system import statedir
from proxy.model.channel import SESSION_KEY_BYTES

log = logging.getLogger(__name__)

SECRET: Final = "fleetgate-session-key"
FIELD: Final = "key"
CHECK_S: Final = 60.0
"""Seconds until the gateway uses a key that an operator has put into the Secret."""
RETRY_S: Final = 2.0

Value = TypeVar("Value")

_OTHERS_MAY_READ: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyProblem(ValueError):
    """The Secret or file holds no usable key; the message says why, and never quotes the value."""


class _Secret(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


class SessionKeys:
    """See `load`, `run`. `use` is given each key that is to be used from now on."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        elector: LeaderElector,
        path: Path,
        use: Callable[[bytes], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._elector = elector
        self._path = path
        self._use = use
        self._clock = clock
        self._key = b""
        self._told = ""

    def load(self) -> None:
        """Use the key of an earlier life, or a new one."""
        try:
            self._key = _stored(self._path)
        except FileNotFoundError:
            self._begin()
        except (OSError, KeyProblem) as error:
            extra = {"path": str(self._path), "cause": str(error)}
            log.warning("key of affinity cookies ignored, sessions begin anew", extra=extra)
            self._begin()
        self._use(self._key)

    async def run(self) -> None:
        """Agree with the other replicas, and again whenever the Secret changes, until cancelled."""
        while True:
            agreed = False
            try:
                agreed = await self._agree()
                self._told = ""
            except (KubeError, KeyProblem) as error:
                self._tell(str(error))
            await self._clock.sleep(CHECK_S if agreed or self._told else RETRY_S)
            await self._client.reconnected()

    async def _agree(self) -> bool:
        """Take the key of the Secret; the leader makes the Secret where there is none."""
        collection = f"/api/v1/namespaces/{self._namespace}/secrets"
        try:
            key = _read(await self._client.get(f"{collection}/{SECRET}"))
        except ApiError as error:
            if error.status != 404:
                raise
            if not self._elector.is_leader:
                return False
            await self._client.create(collection, _manifest(self._namespace, self._key))
            return True
        if key != self._key:
            self._key = key
            self._use(key)
            await asyncio.to_thread(self._save)
        return True

    def _begin(self) -> None:
        self._key = os.urandom(SESSION_KEY_BYTES)
        self._save()

    def _save(self) -> None:
        try:
            write_atomically(self._path, msgspec.json.encode(_as_data(self._key)))
        except OSError as error:
            log.error("key of affinity cookies not saved", extra={"cause": str(error)})

    def _tell(self, problem: str) -> None:
        """Log a cause when it begins: mostly a missing right."""
        if problem != self._told:
            self._told = problem
            extra = {"secret": f"{self._namespace}/{SECRET}", "cause": problem}
            log.warning("affinity cookies hold for this replica only", extra=extra)


def _stored(path: Path) -> bytes:
    """Return the key on disk. Raises OSError, KeyProblem."""
    data = statedir.read(path)
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise KeyProblem("the file can be read by others")
    return _read(msgspec.json.encode({"data": _decoded(data, dict[str, str])}))


def _read(secret: bytes) -> bytes:
    """Return the key in a Secret. Raises KeyProblem."""
    text = _decoded(secret, _Secret).data.get(FIELD)
    if text is None:
        raise KeyProblem(f"data.{FIELD} is missing")
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyProblem(f"data.{FIELD} is not base64") from None
    if len(key) < SESSION_KEY_BYTES:
        raise KeyProblem(f"data.{FIELD} has {len(key)} bytes, at least {SESSION_KEY_BYTES} are needed")
    return key


def _decoded(data: bytes, kind: type[Value]) -> Value:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError:
        raise KeyProblem("is no Secret with text in it") from None


def _as_data(key: bytes) -> dict[str, str]:
    return {FIELD: base64.b64encode(key).decode()}


def _manifest(namespace: str, key: bytes) -> bytes:
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": SECRET,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "fleetgate"},
            },
            "type": "Opaque",
            "data": _as_data(key),
        }
    )
