"""The endpoint slice controller: from Services and Pods to EndpointSlices."""

import asyncio
import logging
import random
import string
from collections.abc import Iterable

from controlplane.embedded.workloads import podspec
from controlplane.embedded.workloads.apiclient import ENDPOINT_SLICES, ApiFailure, Object, WorkloadClient
from controlplane.embedded.workloads.mirror import Mirror, owner_reference

log = logging.getLogger(__name__)

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100
"""Endpoints per slice; the default of the real controller."""

PortKey = tuple[tuple[str, int, str, str], ...]
"""The ports of a slice, as (name, number, protocol, appProtocol)."""


def desired(service: Object, pods: Iterable[Object]) -> list[tuple[PortKey, list[Object]]]:
    """Return the slices a service should have; pods whose ports differ are in different ones.

    A service without pods has one slice without ports and endpoints, like a real one.
    """
    groups: dict[PortKey, list[Object]] = {}
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    for pod in sorted(pods, key=lambda item: str(item["metadata"]["name"])):
        if _selected(service, pod) and _has_endpoint(pod):
            groups.setdefault(_ports(service, pod), []).append(_endpoint(pod, publish))
    slices = [
        (ports, endpoints[start : start + MAX_ENDPOINTS])
        for ports, endpoints in sorted(groups.items())
        for start in range(0, len(endpoints), MAX_ENDPOINTS)
    ]
    return slices or [((), [])]


def _selected(service: Object, pod: Object) -> bool:
    if service["metadata"]["namespace"] != pod["metadata"]["namespace"]:
        return False
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in service["spec"]["selector"].items())


def _has_endpoint(pod: Object) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def _endpoint(pod: Object, publish_not_ready: bool) -> Object:
    meta, ready, terminating = pod["metadata"], podspec.is_ready(pod), podspec.is_terminating(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": publish_not_ready or (ready and not terminating),
            "serving": publish_not_ready or ready,
            "terminating": terminating,
        },
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {
            "kind": "Pod",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }


def _ports(service: Object, pod: Object) -> PortKey:
    """Return where the service's ports lead on this pod; named target ports are looked up in it."""
    named = {
        port["name"]: int(port["containerPort"]) for port in podspec.container_ports(pod) if "name" in port
    }
    real = podspec.actual_ports(pod)
    found = []
    for port in service["spec"].get("ports") or []:
        target = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) else int(target)
        if number is not None:
            protocol, application = port.get("protocol", "TCP"), port.get("appProtocol", "")
            found.append((port.get("name", ""), real.get(number, number), protocol, application))
    return tuple(found)


def _slice_ports(ports: PortKey) -> list[Object]:
    return [
        {"name": name, "port": number, "protocol": protocol} | ({"appProtocol": app} if app else {})
        for name, number, protocol, app in ports
    ]


def _key(item: Object) -> PortKey:
    return tuple(
        (port.get("name", ""), int(port["port"]), port.get("protocol", "TCP"), port.get("appProtocol", ""))
        for port in item.get("ports") or []
    )


class SliceController:
    """Keeps the EndpointSlices of all services with a selector."""

    def __init__(self, client: WorkloadClient, services: Mirror, pods: Mirror, slices: Mirror) -> None:
        self._client = client
        self._services = services
        self._pods = pods
        self._slices = slices

    async def reconcile(self) -> bool:
        """Write the slices that differ; say whether all of them could be written. Raises transport errors.

        The slices of a deleted service are the business of the API server's garbage collector.
        """
        wanted = [
            item
            for item in self._services.objects.values()
            if item["spec"].get("selector") and item["spec"].get("type") != "ExternalName"
        ]
        return all(await asyncio.gather(*map(self._sync, wanted)))

    def _existing(self, service: Object) -> list[Object]:
        """Return the slices of a service that this controller has made."""
        uid = service["metadata"]["uid"]
        return [
            item
            for item in self._slices.owned_by(uid)
            if (item["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGER
        ]

    async def _sync(self, service: Object) -> bool:
        try:
            await self._write(service, self._existing(service))
        except ApiFailure as failure:
            if failure.status != 409:
                log.warning("endpoints of %s: %s", service["metadata"]["name"], failure)
            return False
        return True

    async def _write(self, service: Object, existing: list[Object]) -> None:
        """Bring the slices of a service up to date, reusing those with the same ports first."""
        spare = sorted(existing, key=lambda item: str(item["metadata"]["name"]))
        pending = []
        for ports, endpoints in desired(service, self._pods.objects.values()):
            same = next((item for item in spare if _key(item) == ports), None)
            if same is None:
                pending.append((ports, endpoints))
                continue
            spare.remove(same)
            await self._update(same, ports, endpoints)
        for ports, endpoints in pending:
            if spare:
                await self._update(spare.pop(), ports, endpoints)
            else:
                self._slices.put(await self._create(service, ports, endpoints))
        for item in spare:
            await self._delete(item)

    async def _create(self, service: Object, ports: PortKey, endpoints: list[Object]) -> Object:
        meta = service["metadata"]
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
        body = {
            "apiVersion": ENDPOINT_SLICES.api_version,
            "kind": ENDPOINT_SLICES.kind,
            "metadata": {
                "name": f"{meta['name']}-{suffix}",
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "labels": {
                    **(meta.get("labels") or {}),
                    SERVICE_LABEL: meta["name"],
                    MANAGED_BY_LABEL: MANAGER,
                },
                "ownerReferences": [owner_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": _slice_ports(ports),
        }
        return await self._client.create(ENDPOINT_SLICES, meta["namespace"], body)

    async def _update(self, item: Object, ports: PortKey, endpoints: list[Object]) -> None:
        if _key(item) == ports and (item.get("endpoints") or []) == endpoints:
            return
        body = {**item, "endpoints": endpoints, "ports": _slice_ports(ports)}
        self._slices.put(await self._client.replace(ENDPOINT_SLICES, body))

    async def _delete(self, item: Object) -> None:
        meta = item["metadata"]
        try:
            await self._client.delete(ENDPOINT_SLICES, meta["namespace"], meta["name"], meta["uid"])
        except ApiFailure as failure:
            if failure.status != 404:
                raise
        self._slices.drop(item)
