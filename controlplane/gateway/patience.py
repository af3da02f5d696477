"""How long a change waits for answers that are probably on their way."""

import asyncio
from collections.abc import Callable

from controlplane.gateway.identity import Identity
from controlplane.sources.fleet import Fleet
from controlplane.sources.hostnames import HostResolver

FIRST_SYNC_S = 3.0
"""How long a gateway without a snapshot waits for its members: routes without endpoints answer 503."""

ANSWERS_S = 1.0
"""How long a change waits for labels of pods, Secrets, or addresses of host names that are newly needed."""


class Patience:
    """See `waits_for_members`, `waits_for_answers`. `wake` is called when a wait has lasted long enough."""

    def __init__(
        self, fleet: Fleet, hosts: HostResolver, identity: Identity, wake: Callable[[], None]
    ) -> None:
        self._fleet = fleet
        self._hosts = hosts
        self._identity = identity
        self._wake = wake
        self._members_until: float | None = None
        self._answers_until: float | None = None

    def waits_for_members(self, attached: frozenset[str]) -> bool:
        """Say whether members, or the Lease, have not been read that probably will be in a moment."""
        loop = asyncio.get_running_loop()
        if self._members_until is None:
            self._members_until = loop.time() + FIRST_SYNC_S
            loop.call_later(FIRST_SYNC_S, self._wake)
        if loop.time() >= self._members_until:
            return False
        return self._identity.is_open() or any(
            not member.synced and not member.last_error
            for member in self._fleet.health()
            if member.cluster in attached
        )

    def waits_for_answers(self) -> bool:
        """Say whether pods or Secrets are about to be listed, or host names resolved, for the first time.

        Without this wait, routes would have no endpoints, or hosts no certificate, for a moment. Every answer
        is a change, which ends the wait; the gateway does not wait longer for a slow answer.
        """
        loop = asyncio.get_running_loop()
        waits = self._fleet.waits_for_pods() or self._fleet.waits_for_secrets() or self._hosts.waits()
        if not waits:
            self._answers_until = None
            return False
        if self._answers_until is None:
            self._answers_until = loop.time() + ANSWERS_S
            loop.call_later(ANSWERS_S, self._wake)
        return loop.time() < self._answers_until
