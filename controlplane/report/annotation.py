"""The annotation with effective shares on Ingresses: there only while they are not the configured ones."""

import logging
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from controlplane.kube.backoff import RateLimit
from controlplane.kube.client import MERGE_PATCH, ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.errors import ApiError
from controlplane.kube.lease import LeaderElector
from controlplane.kube.patch import WRITE_TIMEOUT_S
from controlplane.kube.turns import in_turn
from controlplane.observe.demand import IngressKey
from controlplane.report.writer import LeaderWriter, WriteCounters
from controlplane.resources.kinds import INGRESSES
from controlplane.translate.annotations.effective_shares import KEY

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "fleetgate-shares"
LOOK_S: Final = 1.0
SETTLE_S: Final = 5.0
"""Time for which shares must differ before the annotation is written."""

PAUSE_S: Final = 10.0
"""Pause between two writes to one Ingress."""

LEARN_S: Final = 15.0
"""Time after its start in which a gateway removes no annotation: it does not know yet which clusters fail."""

DENIED_PAUSE_S: Final = 600.0
"""Before the next attempt when the right to patch Ingresses is missing."""

RATE_PER_S, BURST = 5.0, 50


class ShareAnnotator:
    """Keeps the texts that are wanted, and makes the Ingresses agree with them while `run` runs.

    `uid_of` is None for an Ingress that the Fleet does not have; `annotated` is the state of the watch.
    """

    def __init__(
        self,
        client: ApiClient,
        elector: LeaderElector,
        uid_of: Callable[[IngressKey], str | None],
        annotated: Callable[[], Mapping[IngressKey, str]],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._writer = LeaderWriter(client, elector, RateLimit(RATE_PER_S, BURST, clock), WriteCounters())
        self._client = client
        self._uid_of = uid_of
        self._annotated = annotated
        self._clock = clock
        self._wanted: Mapping[IngressKey, str] = {}
        self._differs: dict[IngressKey, float] = {}  # since when, monotonic
        self._written: dict[IngressKey, float] = {}
        self._removes_from = clock.monotonic() + LEARN_S
        self._denied_until = float("-inf")

    @property
    def counters(self) -> WriteCounters:
        return self._writer.counters

    @property
    def last_error(self) -> str:
        return self._writer.last_error

    def want(self, texts: Mapping[IngressKey, str]) -> None:
        """Replace the wanted texts, by Ingress; all other Ingresses shall have no annotation."""
        self._wanted = texts

    async def run(self) -> None:
        """Write until cancelled; nothing while another replica leads or the right to is missing."""
        while True:
            await self._writer.pass_over(self._write_due)
            await self._clock.sleep(LOOK_S)

    async def _write_due(self) -> None:
        for ingress in self.due():
            if not await self._writer.turn() or self._clock.monotonic() < self._denied_until:
                return
            await self._write(ingress)

    def due(self) -> list[IngressKey]:
        """Return the Ingresses to write to now: namespaces in turn, in each the longest difference first."""
        now, annotated = self._clock.monotonic(), self._annotated()
        differs: dict[IngressKey, float] = {}
        for ingress in self._wanted.keys() | annotated.keys():
            if self._wanted.get(ingress) != annotated.get(ingress):
                differs[ingress] = self._differs.get(ingress, now)
        self._differs = differs
        self._written = {each: at for each, at in self._written.items() if now - at < PAUSE_S}
        if now < self._denied_until:
            return []
        due = (each for each, since in differs.items() if now - since >= SETTLE_S and self._may(each, now))
        served: dict[str, float] = {}
        for (namespace, _), at in self._written.items():
            served[namespace] = max(at, served.get(namespace, at))
        return in_turn(sorted(due, key=differs.__getitem__), lambda each: each[0], served)

    def _may(self, ingress: IngressKey, now: float) -> bool:
        return ingress not in self._written and (ingress in self._wanted or now >= self._removes_from)

    async def _write(self, ingress: IngressKey) -> None:
        uid = self._uid_of(ingress)
        if uid is None:
            return  # it is gone, and its annotation with it
        self._written[ingress] = self._clock.monotonic()
        await self._writer.write(self._patch(ingress, uid, self._wanted.get(ingress)))

    async def _patch(self, ingress: IngressKey, uid: str, text: str | None) -> None:
        """Set the annotation, or remove it without a text; take note of a right that is missing."""
        body = {"metadata": {"uid": uid, "annotations": {KEY: text}}}
        namespace, name = (quote(part, safe="") for part in ingress)
        try:
            await self._client.request(
                "PATCH",
                INGRESSES.object_path(namespace, name),
                {"fieldManager": FIELD_MANAGER},
                body=msgspec.json.encode(body),
                content_type=MERGE_PATCH,
                timeout_s=WRITE_TIMEOUT_S,
            )
        except ApiError as error:
            if error.status == 403:
                self._denied(str(error))
            raise

    def _denied(self, cause: str) -> None:
        self._denied_until = self._clock.monotonic() + DENIED_PAUSE_S
        if cause != self.last_error:
            log.warning("no annotation with effective shares", extra={"cause": cause})
