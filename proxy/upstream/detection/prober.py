"""Finds out in the background, not with users' requests, whether endpoints are there.

Half-open probes let ejected endpoints in again. Suspicions ask machines that acknowledge nothing.
"""

import asyncio
from functools import partial
from random import uniform
from typing import Final

from proxy.upstream.connections.abandoned import LivenessRequest
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.detection.suspicion import Suspect, Suspicion
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint, State
from proxy.upstream.evidence.failure import Failure
from proxy.upstream.service import Services

ANSWER_S: Final = 1.0  # time for a stalled endpoint to send a byte


class Prober:
    """Sends the probes of a worker. One per worker; its tasks are the connector's."""

    __slots__ = ("_connector", "_loop", "_probes", "_services", "suspicions")

    def __init__(self, loop: asyncio.AbstractEventLoop, connector: Connector, services: Services) -> None:
        self._loop = loop
        self._connector = connector
        self._services = services
        self._probes: dict[LiveEndpoint, asyncio.TimerHandle] = {}  # the next one of each ejected endpoint
        self.suspicions: dict[LiveEndpoint, Suspicion] = {}

    def probe_after(self, endpoint: LiveEndpoint, delay_s: float) -> None:
        """Probe an ejected endpoint in `delay_s`, and then again until it is back.

        The probe that was planned before is not made.
        """
        planned = self._probes.get(endpoint)
        if planned is not None:
            planned.cancel()
        # Jittered, so that the workers do not come back to an endpoint in one instant
        delay_s *= uniform(0.9, 1.1)
        self._probes[endpoint] = self._loop.call_later(delay_s, self._probe, endpoint)

    def suspect(self, endpoint: LiveEndpoint, suspect: Suspect) -> None:
        """Find out, for a request that gets no sign of life, whether the machine of `endpoint` is gone."""
        suspicion = self.suspicions.get(endpoint)
        if suspicion is None:
            suspicion = Suspicion(self._connector, endpoint, partial(self._forget, endpoint))
            self.suspicions[endpoint] = suspicion
            suspicion.start()
        suspicion.add(suspect)

    def stop(self) -> None:
        for probe in self._probes.values():
            probe.cancel()
        self._probes.clear()

    def _forget(self, endpoint: LiveEndpoint) -> None:
        self.suspicions.pop(endpoint, None)

    def _probe(self, endpoint: LiveEndpoint) -> None:
        self._probes.pop(endpoint, None)
        if endpoint.state is State.EJECTED:
            endpoint.limits.begin()
            self._connector.start(self._run_probe(endpoint))

    async def _run_probe(self, endpoint: LiveEndpoint) -> None:
        result = await self._connector.open(endpoint)
        if isinstance(result, Failure):
            is_back = False
        elif endpoint.must_answer:
            is_back = await self._answers(result)
        else:
            self._connector.keep(result)
            is_back = True
        cluster = self._services.cluster_of(endpoint)
        if endpoint.state is not State.EJECTED or cluster is None:
            return
        if is_back:
            cluster.readmit(endpoint)
        else:
            self.probe_after(endpoint, cluster.longer_ejection(endpoint))

    async def _answers(self, stream: UpstreamStream) -> bool:
        """Whether the endpoint answers a request: for a connect its kernel answers."""
        is_answered: asyncio.Future[bool] = self._loop.create_future()
        deadline = self._connector.clock.now() + ANSWER_S
        LivenessRequest(stream, partial(_answer, is_answered)).ask(stream.endpoint.label, deadline)
        return await is_answered


def _answer(answered: asyncio.Future[bool], is_answered: bool) -> None:
    if not answered.done():  # the worker may be ending
        answered.set_result(is_answered)
