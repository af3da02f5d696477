"""Clusters that are held out by hand, as the control plane keeps them."""

import logging
from pathlib import Path

import pytest
from msgspec.structs import replace

from controlplane.publish import Held
from proxy.model.actions import Failback, Forward
from proxy.model.channel import Hold
from proxy.model.snapshot import Route
from tests.support.snapshots import route

WEB, SHOP = Hold("demo/ing", "demo/service1:80", "c1"), Hold("demo/shop", "demo/service1:80", "c1")
OTHER = Hold("demo/ing", "demo/service1:80", "c2")


def asking(manual: bool) -> tuple[Route, ...]:
    plain = route(80)
    assert isinstance(plain.action, Forward)
    split = replace(plain.action.split, failback=Failback("demo/ing", manual=manual, delay_s=1.0))
    return (replace(plain, action=replace(plain.action, split=split)),)


async def test_a_held_cluster_is_known_until_let_back(tmp_path: Path) -> None:
    held = Held(tmp_path / "held.json")
    assert held.add((WEB, SHOP)) == (WEB, SHOP)
    assert held.add((WEB, OTHER)) == (OTHER,)
    assert set(held.since()) == {WEB, SHOP, OTHER}
    assert held.let_back("demo/ing", "c2") == (OTHER,)
    assert held.let_back("demo/ing", "") == (WEB,)
    assert held.let_back("demo/ing", "") == ()
    assert set(held.since()) == {SHOP}
    await held.close()


async def test_a_held_cluster_is_kept_over_a_restart(tmp_path: Path) -> None:
    held = Held(tmp_path / "held.json")
    held.load()
    held.add((WEB, OTHER))
    held.let_back("demo/ing", "c2")
    await held.close()
    again = Held(tmp_path / "held.json")
    again.load()
    assert again.since() == {WEB: held.since()[WEB]}


def test_a_file_that_cannot_be_read_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "held.json"
    path.write_text('[{"hold": 1}]')
    held = Held(path)
    with caplog.at_level(logging.WARNING):
        held.load()
    assert not held.since()
    assert "held clusters ignored" in caplog.text


async def test_a_cluster_that_no_route_holds_any_more_is_forgotten(tmp_path: Path) -> None:
    held = Held(tmp_path / "held.json")
    held.add((WEB, SHOP))
    held.keep(asking(manual=True))
    assert set(held.since()) == {WEB}
    held.keep(asking(manual=False))
    assert not held.since()
    await held.close()
