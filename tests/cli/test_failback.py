"""`fleetgate failback` against an admin API."""

import json
from typing import Any

from tests.admin.test_api import Fixed
from tests.admin.test_failback import HELD, MANUAL, state
from tests.cli.asking import admin, fleetgate


async def test_the_answer_names_the_cluster_that_is_let_back() -> None:
    async with admin(Fixed(state(MANUAL, HELD))) as address:
        done = await fleetgate("failback", "shop/web", "--admin", address)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "cluster-1 is let back for shop/web:80: its share grows over 8 s"
        " (held out since 1970-01-01T00:15:00+00:00)\n"
    )


async def test_the_answer_says_that_the_cluster_does_not_serve_yet() -> None:
    states: dict[str, Any] = {"cluster-1": "ejected"}
    async with admin(Fixed(state(MANUAL, HELD, **states))) as address:
        done = await fleetgate("failback", "shop/web", "--cluster", "cluster-1", "--admin", address)
    assert done.code == 0
    assert "it does not serve, and comes back as soon as it does" in done.out


async def test_the_answer_says_that_no_cluster_is_held() -> None:
    async with admin(Fixed(state(MANUAL))) as address:
        done = await fleetgate("failback", "shop/web", "--admin", address)
        assert (done.code, done.out) == (0, "no cluster is held out of shop/web\n")
        done = await fleetgate("failback", "shop/web", "--cluster", "cluster-2", "--admin", address)
        assert (done.code, done.out) == (0, "cluster-2 is not held out of shop/web\n")


async def test_for_programs() -> None:
    async with admin(Fixed(state(MANUAL, HELD))) as address:
        done = await fleetgate("failback", "shop/web", "-o", "json", "--admin", address)
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["kind"], found["ingress"]) == ("Failback", "shop/web")
    assert [each["cluster"] for each in found["letBack"]] == ["cluster-1"]


async def test_an_error_is_said_on_one_line() -> None:
    async with admin(Fixed(state(None))) as address:
        done = await fleetgate("failback", "shop/web", "--admin", address)
    assert done.code == 2
    assert done.err == (
        "fleetgate: Ingress shop/web holds no cluster out: its fleetgate.io/failback is auto, not manual\n"
    )
    done = await fleetgate("failback", "shop/web", "--admin", "127.0.0.1:1")
    assert done.code == 3
    assert "does not answer" in done.err
