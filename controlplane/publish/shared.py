"""Findings of one worker that the others have to know, workers that begin later included."""

import logging
from collections.abc import Callable, Iterable
from time import monotonic

import msgspec

from controlplane.publish.ejected import Ejected
from controlplane.publish.held import Held
from controlplane.publish.session import Session
from proxy.model.channel import (
    Ejections,
    Hold,
    Holds,
    LetBack,
    UseSessionKey,
    UseTicketSecret,
    encode,
)
from proxy.model.statistics import Stats

log = logging.getLogger(__name__)

Message = Ejections | Holds | LetBack | UseSessionKey | UseTicketSecret


class SharedState:
    """Endpoints that are ejected, clusters that are held out, and two secrets.

    One is the key of session cookies, the other that of TLS session tickets.

    `sessions` returns the sessions of all workers.
    """

    def __init__(self, held: Held, sessions: Callable[[], Iterable[Session]]) -> None:
        self.held = held
        self._sessions = sessions
        self._ejected = Ejected()
        self._session_key: bytes | None = None
        self._ticket_secret: bytes | None = None

    def use_session_key(self, key: bytes) -> None:
        self._session_key = key
        self._tell(UseSessionKey(key), None)

    def use_ticket_secret(self, secret: bytes) -> None:
        self._ticket_secret = secret
        self._tell(UseTicketSecret(secret), None)

    def let_back(self, ingress: str, cluster: str) -> tuple[Hold, ...]:
        """Give clusters that are held out of an Ingress their share back, "" all of them; return which."""
        back = self.held.let_back(ingress, cluster)
        for hold in back:
            log.info("cluster let back", extra=msgspec.structs.asdict(hold))
        if back:
            self._tell(LetBack(back), None)
        return back

    def greet(self, session: Session) -> None:
        """Send a new worker the shared state of the others."""
        if not session.feedable:
            return
        if self._session_key is not None:
            session.send(encode(UseSessionKey(self._session_key)))
        if self._ticket_secret is not None:
            session.send(encode(UseTicketSecret(self._ticket_secret)))
        if known := self._ejected.known(monotonic()):
            session.send(encode(Ejections(known)))
        if held := self.held.since():
            session.send(encode(Holds(tuple(held))))

    def reported(self, worker: int, stats: Stats) -> None:
        """Take in the ejections of a worker's report, which the other workers know already."""
        self._ejected.reported(worker, stats, monotonic())

    def eject(self, session: Session, message: Ejections) -> None:
        """Pass the ejections of one worker on to the others."""
        if session.hello is not None:
            self._ejected.told(session.hello.worker, message.endpoints, monotonic())
        self._tell(message, session)

    def hold(self, session: Session, clusters: tuple[Hold, ...]) -> None:
        """Keep, and pass on, which clusters one worker holds out."""
        for hold in self.held.add(clusters):
            log.warning("cluster held out", extra=msgspec.structs.asdict(hold))
        self._tell(Holds(clusters), session)

    def _tell(self, message: Message, source: Session | None) -> None:
        """Send a message to all workers except its source."""
        data = encode(message)
        for session in self._sessions():
            if session is not source and session.feedable:
                session.send(data)
