"""Snapshots to workers: one worker tries new rules, then all others get them."""

import asyncio
import logging
from collections.abc import Callable

from controlplane.publish.rollout import Rollout
from controlplane.publish.session import Session
from proxy.model.channel import Apply, EndpointsChanged, encode
from proxy.model.snapshot import SCHEMA, Service, Snapshot

log = logging.getLogger(__name__)

TRIAL_PATIENCE_S = 2.0
"""A worker that has not answered the trial by then may be stopped: the next one gets it too. A snapshot
that makes a loop spin is found out earlier, by the death of that worker: it never has two in its power."""

TRIAL_PATIENCE_PER_ROUTE_S = 50e-6
"""A worker compiles beside its requests: 100,000 routes take it one to two seconds."""


class Dispatcher:
    """Sends the snapshots that the rollout decides on to the connected workers. Events come from the
    publisher.
    """

    def __init__(self, on_settled: Callable[[], None]) -> None:
        self.rollout = Rollout()
        self.sessions: dict[int, Session] = {}
        self._on_settled = on_settled
        self._canaries: set[Session] = set()
        self._patience: asyncio.TimerHandle | None = None

    def resume(self, snapshot: Snapshot) -> None:
        self.rollout.resume(snapshot)
        self.repeat()

    def publish(self, snapshot: Snapshot) -> None:
        told = self._good_version()
        self._proceed(self.rollout.want(snapshot), told)

    def repeat(self) -> None:
        """Send every worker its last snapshot again."""
        self._send_good([s for s in self.sessions.values() if s not in self._canaries])
        trial = self.rollout.trial
        if trial is not None and self._canaries:
            data = encode(Apply(trial))
            for session in self._canaries:
                session.send_trial(data)

    def joined(self, worker: int, session: Session) -> None:
        earlier = self.sessions.pop(worker, None)
        if earlier is not None:
            self._canaries.discard(earlier)
            earlier.abort()
        self.sessions[worker] = session
        if session.hello is not None:
            session.applied_version = session.hello.applied
        if session.hello is not None and session.hello.schema != SCHEMA:
            session.feedable = False
            session.nack_reason = f"schema {session.hello.schema}; this control plane speaks {SCHEMA}"
            log.error("worker cannot be fed", extra={"worker": session.name, "cause": session.nack_reason})
            return
        self._send_good([session])
        self._try()

    def left(self, worker: int, session: Session) -> None:
        del self.sessions[worker]
        if session in self._canaries:
            self._canaries.discard(session)
            if self.rollout.died():
                self._reject(f"{self.rollout.deaths} workers died while they applied it")
            else:
                self._try()
        self._on_settled()

    def acknowledged(self, session: Session, version: int) -> None:
        trial, rejection = self.rollout.trial, self.rollout.rejection
        if trial is not None and version == trial.version:
            others = [s for s in self.sessions.values() if s not in self._canaries]
            self._end_trial()
            changed = self.rollout.promote()
            self._send_good(others)
            self._proceed(changed, version)
        elif rejection is not None and version == rejection.version:
            self._send_good([session])  # it took its time over a snapshot that others refused meanwhile
        self._on_settled()

    def refused(self, session: Session, version: int, reason: str) -> None:
        extra = {"worker": session.name, "version": version, "cause": reason}
        log.error("snapshot rejected by worker", extra=extra)
        trial = self.rollout.trial
        if trial is not None and version == trial.version:
            self._reject(reason)
        self._on_settled()

    def applied_count(self) -> int:
        """Return how many workers serve the rules of the good snapshot."""
        return 0 if self.rollout.good is None else len(self.serving())

    def serving(self) -> list[Session]:
        """Return the workers that serve the rules of the good snapshot; all as long as there is none."""
        rules_version = self.rollout.rules_version
        return [s for s in self.sessions.values() if s.applied_version >= rules_version]

    def serves(self, version: int) -> bool:
        """Return whether every connected worker, and at least one, has applied this version or a newer one.

        A worker that is dead, or being replaced, has no connection and counts for nothing. Nor does a worker
        that refuses rules that others have taken, or that is of another build: the log and the overview name
        it.
        """
        able = [s for s in self.sessions.values() if s.feedable and s.refused_version < version]
        return bool(able) and all(session.applied_version >= version for session in able)

    def close(self) -> None:
        self._end_trial()

    def _try(self) -> None:
        """Give the trial to one worker, and to another worker whenever the answer takes too long."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        trial = self.rollout.trial
        if trial is None:
            return
        fresh = [s for s in self.sessions.values() if s not in self._canaries and s.feedable]
        if not fresh:
            return
        canary = min(fresh, key=lambda session: session.owes)  # a worker that can answer, if there is one
        self._canaries.add(canary)
        canary.send_trial(encode(Apply(trial)))
        patience_s = TRIAL_PATIENCE_S + TRIAL_PATIENCE_PER_ROUTE_S * len(trial.routes)
        self._patience = asyncio.get_running_loop().call_later(patience_s, self._try)

    def _reject(self, reason: str) -> None:
        self._end_trial()
        log.error("last good snapshot kept", extra={"cause": reason})
        told = self._good_version()
        self._proceed(self.rollout.reject(reason), told)

    def _end_trial(self) -> None:
        self._canaries.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _send_good(self, sessions: list[Session]) -> None:
        good = self.rollout.good
        if good is not None and sessions:
            data = encode(Apply(good))
            for session in sessions:
                if session.feedable:
                    session.send_good(data)

    def _good_version(self) -> int:
        return self.rollout.good.version if self.rollout.good is not None else 0

    def _proceed(self, changed: tuple[Service, ...], told_version: int) -> None:
        """Pass on endpoint changes, or only a number that workers have not; start the trial that is due."""
        good = self.rollout.good
        if good is not None and (changed or good.version != told_version):
            message = EndpointsChanged(good.version, changed)
            data = encode(message)
            for session in self.sessions.values():
                if session.feedable:
                    session.send_endpoints(message, data)
        if not self._canaries:
            self._try()
