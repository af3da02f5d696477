"""Objects to snapshots: calls the translation, and keeps its results for the next one."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from controlplane.gateway.findinglog import FindingLog
from controlplane.gateway.identity import Identity
from controlplane.gateway.settings import Settings
from controlplane.proposal.job import Basis
from controlplane.publish import Saver
from controlplane.sources.fleet import Fleet
from controlplane.sources.hostnames import HostResolver
from controlplane.system import statedir
from controlplane.system.interfaces import Interfaces
from controlplane.translate.builder import translate
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.keypairs import KeyPair, KeyPairs, without_keys
from controlplane.translate.model import Facts, LastGood, Translation
from proxy.model.snapshot import Snapshot

log = logging.getLogger(__name__)


class Translator:
    """Keeps the last good version of every object, on disk too: a restart must not lose them."""

    def __init__(self, settings: Settings, fleet: Fleet, hosts: HostResolver, identity: Identity) -> None:
        self._path = settings.state_dir.resolve() / "last-good.json"
        self.count = 0
        self.sum_s = 0.0
        self.diagnostics: tuple[Diagnostic, ...] = ()
        self._settings = settings
        self._fleet = fleet
        self._hosts = hosts
        self._identity = identity
        self._interfaces = Interfaces()
        self.log = FindingLog()
        self._last_good = LastGood()
        self._pairs: Mapping[str, KeyPair] = {}
        self._authorities: Mapping[str, bytes] = {}
        self._saver: Saver[LastGood] = Saver(self._path, msgspec.json.encode)

    def load(self) -> None:
        """Take up the last good versions of an earlier life, if there are any."""
        try:
            self._last_good = msgspec.json.decode(statedir.read(self._path), type=LastGood)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("last good objects ignored", extra={"path": str(self._path), "cause": str(error)})

    def translate(self, failed_ports: dict[int, str], version: int, previous: Snapshot | None) -> Translation:
        """Translate the current objects of the Fleet and its members."""
        started = time.perf_counter()
        facts = self._facts(failed_ports, previous)
        objects, members = self._fleet.fleet_objects(), self._fleet.member_objects()
        pairs = KeyPairs(self._fleet.tls_secrets(), self._pairs, self._authorities)
        translation = translate(objects, members, facts, self._last_good, version, previous, pairs)
        self._pairs, self._authorities = translation.pairs, translation.authorities
        if translation.last_good != self._last_good:
            self._saver.save_soon(translation.last_good)
        self._last_good = translation.last_good
        translation = replace(translation, diagnostics=(*translation.diagnostics, *self._fleet.findings()))
        self._log_findings(translation.diagnostics)
        self.count += 1
        self.sum_s += time.perf_counter() - started
        return translation

    def expiries(self) -> dict[str, float]:
        """Return when each certificate in use ends, in Unix seconds, by namespace/name of its Secret."""
        return {
            secret: datetime.fromisoformat(pair.expires).timestamp()
            for secret, pair in self._pairs.items()
            if pair.certificate.key  # else they are authorities that endpoints are trusted by
        }

    def basis(self, running: Snapshot, failed_ports: dict[int, str]) -> Basis:
        """Return the basis for a translation of other objects."""
        fleet, members = self._fleet.fleet_objects(), self._fleet.member_objects()
        facts = self._facts(failed_ports, running)
        pairs = without_keys(self._pairs)
        return Basis(running, fleet, members, facts, self._last_good, pairs, self._authorities)

    def _facts(self, failed_ports: dict[int, str], previous: Snapshot | None) -> Facts:
        return Facts(
            address=self._settings.address,
            known_clusters=self._fleet.known_clusters(),
            failed_ports=failed_ports,
            allow_loopback=self._settings.allow_loopback_endpoints,
            limits=self._settings.limits,
            trusted_proxies=self._settings.trusted_proxies,
            listen_address=self._settings.listen_address,
            hosts=self._hosts.known(),
            gateway=self._identity.name(previous),
            own_addresses=self._interfaces.addresses(),
            admin=(self._settings.admin_host, self._settings.admin_port),
            tenancy=self._settings.tenancy,
            no_grants=self._fleet.no_grants(),
            today=datetime.now(UTC).date().isoformat(),
        )

    async def close(self) -> None:
        await self._saver.close()

    def _log_findings(self, findings: tuple[Diagnostic, ...]) -> None:
        known = frozenset(map(str, self.diagnostics))
        self.log.note(findings, known)
        self.diagnostics = findings
