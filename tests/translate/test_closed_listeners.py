"""Lists and certificates of a listener that cannot be honoured let no client in."""

from typing import Any

import pytest

from controlplane.translate.model import Translation
from proxy.model.policies import Access
from tests.support.translation import run_case

NOBODY = Access(deny=("0.0.0.0/0", "::/0"))


def alb(**listener: Any) -> Translation:
    config = {
        "kind": "AlbConfig",
        "metadata": {"name": "gw", "annotations": {"alb.ingress.kubernetes.io/remote-clusters": "cluster-1"}},
        "spec": {"listeners": [{"port": 80, "protocol": "HTTP", **listener}]},
    }
    return run_case({"fleet": [config]})


def mse(control: Any) -> Translation:
    config = {
        "kind": "MseIngressConfig",
        "metadata": {"name": "gw", "annotations": {"mse.alibabacloud.com/remote-clusters": "cluster-1"}},
        "spec": {"global": {"ipAccessControl": control}, "ingress": {"local": {"ingressClass": "mse"}}},
    }
    return run_case({"fleet": [config]})


def outcome(translation: Translation) -> tuple[Access | None, set[str]]:
    (listener,) = translation.snapshot.listeners
    return listener.access, {item.code for item in translation.diagnostics if item.level == "error"}


@pytest.mark.parametrize(
    "acl",
    [
        {"aclEntries": ["10.0.0.0/8"]},
        {"aclType": "Grey", "aclEntries": ["10.0.0.0/8"]},
        {"aclType": "White", "aclEntries": ["10.0.0.0/33"]},
        {"aclType": "White", "aclIds": ["acl-1"]},
        {"aclType": "Black", "aclEntries": ["192.0.2.1", "10.0.0.0/33"]},
        {"aclType": "Black", "aclEntries": ["192.0.2.1"], "aclIds": ["acl-1"]},
        {"aclType": "Black", "aclEntrys": ["192.0.2.1"]},
        ["10.0.0.0/8"],
        "10.0.0.0/8",
    ],
)
def test_an_acl_that_cannot_be_read_as_a_whole_lets_no_client_in(acl: Any) -> None:
    assert outcome(alb(aclConfig=acl)) == (NOBODY, {"FG0514"})


@pytest.mark.parametrize(
    "control",
    [
        {"whitelist": ["x"]},
        {"whitelist": "10.0.0.0/8"},
        {"blacklist": ["192.0.2.1", "x"]},
        {"allowlist": ["10.0.0.0/8"]},
        ["10.0.0.0/8"],
    ],
)
def test_an_access_control_that_cannot_be_read_as_a_whole_lets_no_client_in(control: Any) -> None:
    assert outcome(mse(control)) == (NOBODY, {"FG0514"})


def test_a_listener_that_cannot_ask_for_certificates_lets_no_client_in() -> None:
    assert outcome(alb(caEnabled=True)) == (NOBODY, {"FG0514"})


@pytest.mark.parametrize("acl", [None, {}, {"aclName": "office"}, {"aclType": "White"}])
def test_an_acl_without_a_list_lets_every_client_in(acl: Any) -> None:
    assert outcome(alb(aclConfig=acl, caEnabled=False)) == (None, set())


def test_lists_that_can_be_read_hold() -> None:
    listed = {"aclName": "office", "aclType": "Black", "aclEntries": ["192.0.2.0/24"]}
    assert outcome(alb(aclConfig=listed)) == (Access(deny=("192.0.2.0/24",)), set())
    assert outcome(mse({"whitelist": ["10.0.0.0/8", "x"]})) == (Access(allow=("10.0.0.0/8",)), {"FG0514"})
