"""An edit that asks for a protection which cannot be honoured closes the Ingress for clients, and says so."""

from pathlib import Path

from loadtest.ports import free_port
from tests.gateway.test_confirmation import address, told
from tests.support.clusters import ask, clusters, gateway_on, ready
from tests.support.waiting import until, until_async

AWS_LIST = {"inbound-cidrs": "203.0.113.0/24"}


async def test_clients_get_503_until_the_protection_is_sorted_out(tmp_path: Path) -> None:
    port = free_port()

    async def answers(status: int) -> bool:
        return (await ask(port))[0] == status

    async with clusters(tmp_path, port) as rig, gateway_on(rig) as running:
        await ready(running)
        await until(lambda: address(rig, "web"))
        assert await answers(200)
        rig.ingress(generation=2, **AWS_LIST)
        await until_async(lambda: answers(503), 15, "closed rules")
        assert "see the Events of the Ingress" in (await ask(port))[1]
        await until(lambda: told(rig, "web", "ProtectionNotSupported"))
        (event,) = (
            each
            for each in rig.fleet.store.objects["events"].values()
            if each["reason"] == "ProtectionNotSupported"
        )
        assert event["type"] == "Warning"
        assert event["message"].startswith(
            "FG0210 metadata.annotations[alb.ingress.kubernetes.io/inbound-cidrs]"
        )
        await until(lambda: not address(rig, "web"))
        rig.ingress(generation=3)
        await until_async(lambda: answers(200), 15, "open rules")
        await until(lambda: address(rig, "web"))
