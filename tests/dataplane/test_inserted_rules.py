"""A rule that is put in front of others takes nothing from them: no counter, no limit, no turn."""

from collections import Counter

from controlplane.translate.builder import translate
from controlplane.translate.model import Facts, LastGood
from proxy.model.snapshot import Snapshot
from tests.dataplane.test_shares import named
from tests.support.origin import Origin
from tests.support.requests import request, tally
from tests.support.snapshots import Address
from tests.support.translation import Manifest, endpoint_slice, fleet_of, gateway, member_of, service
from tests.support.worker import WorkerProcess

ALB = "alb.ingress.kubernetes.io/"
LIMITED = {
    ALB + "traffic-limit-qps": "1",
    ALB + "cluster-weight.cluster-1": "20",
    ALB + "cluster-weight.cluster-2": "80",
}
WEIGHTED = {key: value for key, value in LIMITED.items() if "weight" in key}


def ingress(generation: int, annotations: dict[str, str], *paths: str) -> Manifest:
    backend = {"service": {"name": "service1", "port": {"number": 80}}}
    rules = [{"path": path, "pathType": "Prefix", "backend": backend} for path in paths]
    return {
        "kind": "Ingress",
        "metadata": {
            "namespace": "demo", "name": "ing", "generation": generation, "annotations": annotations,
        },
        "spec": {"ingressClassName": "alb", "rules": [{"host": "demo.example", "http": {"paths": rules}}]},
    }  # fmt: skip


def translated(port: int, version: int, wanted: Manifest, *addresses: Address) -> Snapshot:
    members = {
        f"cluster-{number}": member_of(
            f"cluster-{number}",
            [
                service("demo/service1"),
                endpoint_slice(
                    "demo/service1",
                    [{"addresses": [host], "conditions": {"ready": True}}],
                    ports=[{"name": "", "port": at, "protocol": "TCP"}],
                ),
            ],
        )
        for number, (host, at) in enumerate(addresses, start=1)
    }
    facts = Facts(known_clusters=frozenset(members), allow_loopback=True, listen_address="127.0.0.1")
    return translate(fleet_of([*gateway(port), wanted]), members, facts, LastGood(), version).snapshot


async def statuses(port: int, path: str, count: int) -> Counter[str]:
    return await tally(port, count, request(path, host="demo.example"))


async def test_counters_and_limits_stay_with_their_route(worker: WorkerProcess, port: int) -> None:
    async with Origin() as one, Origin() as two:
        at = (one.address, two.address)
        await worker.apply(translated(port, 1, ingress(1, LIMITED, "/a", "/b"), *at))
        first = await statuses(port, "/a", 10)
        assert first["/a"] == 1  # one at once, the next one in a second
        await worker.apply(translated(port, 2, ingress(2, LIMITED, "/new", "/a", "/b"), *at))
        assert (await statuses(port, "/a", 1))["/a"] == 0  # its bucket is still empty
        assert (await statuses(port, "/new", 1))["/new"] == 1
        counts = Counter[str]()
        for count in (await worker.stats()).requests:
            counts[count.route] += count.count
        assert counts["demo/ing/demo.example/a"] == 11
        assert counts["demo/ing/demo.example/new"] == 1
        assert counts["demo/ing/demo.example/b"] == 0


async def test_a_route_keeps_its_turn_when_only_its_generation_changes(
    worker: WorkerProcess, port: int
) -> None:
    async with Origin(named("c1")) as one, Origin(named("c2")) as two:
        at = (one.address, two.address)
        answers = Counter[str]()
        for number in range(1, 11):
            paths = [f"/{number}", "/a"]
            await worker.apply(translated(port, number, ingress(number, WEIGHTED, *paths), *at))
            answers += await statuses(port, "/a", 1)
        assert answers == {"c1": 2, "c2": 8}
