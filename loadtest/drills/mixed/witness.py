"""The gateway's view of its clusters while it serves: failovers, breakers, holds, states, Events."""

import threading
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from loadtest.drills.mixed.gateway import Gateway
from loadtest.drills.mixed.schedule import Planned

POLL_S: Final = 0.25
HELD: Final = frozenset(("held", "delayed"))


@dataclass(slots=True)
class Seen:
    """All that the admin API showed at some time; empty where all is well."""

    states: set[str] = field(default_factory=set)  # states of endpoints, apart from healthy
    breakers: set[str] = field(default_factory=set)  # clusters whose breaker was not closed
    reduced: set[str] = field(default_factory=set)  # why a cluster did not get its share
    holds: set[str] = field(default_factory=set)  # clusters that are held out
    failovers: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)  # at the end: `cluster reason`

    def clusters(self, items: list[dict[str, Any]]) -> None:
        """Add an answer of /api/v1/clusters."""
        for item in items:
            name = item["cluster"]
            self.breakers.update(f"{name} {each['phase']}" for each in item["breakers"])
            self.reduced.update(f"{name} {each['reason']}" for each in item["reduced"])
            self.holds.update(name for each in item["failbacks"] if each["state"] in HELD)

    def endpoints(self, items: list[dict[str, Any]]) -> None:
        """Add an answer of /api/v1/endpoints."""
        for item in items:
            workers = {each["state"] for each in item["workers"]} | {item["state"]}
            self.states.update(f"{item['cluster']} {state}" for state in workers - {"healthy"})

    def explanation(self, answer: dict[str, Any]) -> None:
        """Add an answer of /api/v1/explain."""
        for backend in answer["answer"]["backends"]:
            for each in backend["clusters"]:
                if each["reason"]:
                    self.explained.append(f"{each['cluster']} {each['reason']}")
                if each["reason"] == "held_out":
                    self.holds.add(each["cluster"])


class Witness:
    """Asks the admin API all the time, in a thread of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness")
        self.seen = Seen()

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def conclude(self, request: Planned) -> Seen:
        """Add the answers at the end; `request` is one that the rule serves."""
        self._poll()
        for each in self._gateway.get("/api/v1/failovers")["items"]:
            self.seen.failovers.append(f"{each['fromCluster']} {each['cause']} {each['seconds']}")
        self.seen.events += [f"{each['reason']}: {each['message']}" for each in self._gateway.events()]
        self.seen.explanation(self._gateway.explain(request))
        return self.seen

    def _watch(self) -> None:
        while not self._over.wait(POLL_S):
            try:
                self._poll()
            except httpx.TimeoutException:
                pass  # a busy machine; the end is asked for in any case

    def _poll(self) -> None:
        self.seen.clusters(self._gateway.get("/api/v1/clusters")["items"])
        self.seen.endpoints(self._gateway.get("/api/v1/endpoints")["items"])
