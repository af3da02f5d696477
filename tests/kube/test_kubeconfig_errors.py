"""A kubeconfig that cannot be used is named in one line, with the cure and without its secrets."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.kube.access import load_access
from controlplane.kube.errors import ConfigError

GOOD: dict[str, Any] = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://10.0.0.1:6443/"}}],
    "users": [{"name": "u", "user": {"token": "s3cret"}}],
}


def changed(**parts: Any) -> dict[str, Any]:
    return {**GOOD, **{name.replace("_", "-"): value for name, value in parts.items()}}


def cluster(**fields: Any) -> dict[str, Any]:
    return changed(clusters=[{"name": "k", "cluster": {"server": "https://a", **fields}}])


def user(**fields: Any) -> dict[str, Any]:
    return changed(users=[{"name": "u", "user": {"token": "s3cret", **fields}}])


async def message(source: Path | dict[str, Any] | None, context: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        await load_access(source, context)
    text = str(caught.value)
    assert "\n" not in text
    assert "s3cret" not in text
    return text


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (changed(current_context=None), "has no current-context; name a context"),
        (changed(current_context="x"), 'has no context "x"; it has c'),
        (changed(clusters=[]), 'context "c" names no known cluster; it has none'),
        (cluster(server="10.0.0.1"), "the server of the cluster is no http:// or https:// address"),
        (cluster(server="https://a:x"), "the server of the cluster is no http:// or https:// address"),
        (
            changed(users=[{"name": "u", "user": {"token": 7}}]),
            "users[0].user.token: expected `str`, got `int`",
        ),
        (cluster(**{"certificate-authority-data": "%"}), "a -data field is no valid base64"),
        (
            cluster(**{"certificate-authority-data": base64.b64encode(b"x").decode()}),
            "the certificate authority is no valid PEM",
        ),
        (
            user(**{"client-certificate-data": "eHg=", "client-key-data": "eHg="}),
            "client certificate and key are no valid PEM pair",
        ),
        (user(**{"as": "admin"}), "the user impersonates another one (field as), which is not supported"),
    ],
)
async def test_each_error_of_a_kubeconfig_is_said(document: dict[str, Any], expected: str) -> None:
    assert await message(document) == f"kubeconfig: {expected}"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (user(exec={"command": "/bin/sh"}), "exec"),
        (user(**{"auth-provider": {"name": "gcp"}}), "auth-provider"),
        (user(tokenFile="/etc/passwd"), "tokenFile"),
        (user(**{"client-key": "/etc/key"}), "client-key"),
        (cluster(**{"certificate-authority": "/etc/ca"}), "certificate-authority"),
    ],
)
async def test_a_kubeconfig_from_a_secret_may_not_touch_this_machine(
    document: dict[str, Any], field: str
) -> None:
    assert f"field {field} is not allowed in a Secret" in await message(document)


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none"
    expected = f"kubeconfig {path}: no such file; give the path of an existing kubeconfig"
    assert await message(path) == expected


async def test_broken_yaml_is_located_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- {token: s3cret\n")
    assert "no valid YAML at line 3, column 1" in await message(path)
    path.write_text("s3cret")
    assert "expected a kubeconfig" in await message(path)


async def test_a_missing_context_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(GOOD))
    assert await message(path, "other") == f'kubeconfig {path}: has no context "other"; it has c'


async def test_outside_of_a_pod_there_is_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert "not running in a pod" in await message(None)


async def test_a_good_one_is_read() -> None:
    access = await load_access(GOOD)
    assert access.server == "https://10.0.0.1:6443"
    assert access.tls is not None
    assert await access.credentials.authorization() == "Bearer s3cret"


@pytest.mark.parametrize("token", ["two words", "a\nb", "ümlaut"])
async def test_a_token_that_no_header_can_hold_is_refused(token: str) -> None:
    assert "the token has characters that no token has" in await message(user(token=token))


async def test_a_password_in_an_address_is_refused_because_errors_name_the_address() -> None:
    assert "no http:// or https:// address" in await message(cluster(server="https://u:s3cret@a"))


async def test_a_huge_or_deeply_nested_document_is_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("a: b\n" * 200_000)
    assert "1000000 bytes; at most" in await message(path)
    for deep in ("[" * 100_000, "- " * 100_000):
        path.write_text(deep)
        assert "nested more than 32 levels deep" in await message(path)
