"""The image and the compose file, as far as they can be checked without an engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

# Understood by docker-compose 1.29 (compose specification of early 2021) and by compose v2.
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "network_mode", "ports",
    "profiles", "read_only", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries"}


def stage(name: str) -> str:
    return DOCKERFILE.split(f" AS {name}\n")[1].split("\nFROM ")[0]


def test_the_compose_file_uses_only_what_both_generations_understand() -> None:
    # A "version" makes compose v2 warn; without one docker-compose 1.29 reads the specification too.
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"services", "volumes"}
    for service in SERVICES.values():
        assert set(service) <= SERVICE_KEYS
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK_KEYS
        assert set(service["build"]) == {"context", "target"}
        for requirement in service.get("depends_on", {}).values():
            assert requirement == {"condition": "service_healthy"}


def test_only_loopback_ports_are_published() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert {"127.0.0.1:8001:8001", "127.0.0.1:8002:8002", "127.0.0.1:9901:9901"} <= set(published)
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_file_and_volume_named_exists() -> None:
    for service in SERVICES.values():
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for argument in service.get("command", ()):
            name, _, value = argument.partition("=")
            if name == "--apply":
                path = ROOT / "deploy" / value.removeprefix("/opt/fleetgate/deploy/")
                assert list(path.glob("*.yaml")), argument


def test_locust_starts_only_with_its_profile() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["locust"]


@pytest.mark.parametrize("name", ["fleet", "cluster-1", "cluster-2", "gateway"])
def test_containers_run_without_privileges_on_a_read_only_root(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["runtime", "load"])
def test_images_run_as_an_unprivileged_numeric_user(name: str) -> None:
    (line,) = [line for line in stage(name).splitlines() if line.startswith("USER ")]
    uid, gid = line.removeprefix("USER ").split(":")
    assert int(uid) >= 10000
    assert int(gid) >= 10000


def test_the_image_of_the_gateway_is_without_the_embedded_api_server() -> None:
    assert 'mv "${package}/embedded" "/opt/demo${package}/"' in stage("parts")
    assert "COPY --from=parts /opt/fleetgate " in stage("runtime")
    assert "/opt/demo" not in stage("runtime")
    assert "COPY --from=parts /opt/demo /" in stage("demo")


def test_only_the_containers_of_api_servers_use_the_image_that_has_one() -> None:
    for name, service in SERVICES.items():
        wanted = {"gateway": "runtime", "locust": "load"}.get(name, "demo")
        assert service["build"]["target"] == wanted
        assert (service.get("command", [""])[0] == "apiserver") is (wanted == "demo")


def test_the_base_image_can_be_replaced_and_the_image_checks_its_own_health() -> None:
    assert "ARG BASE_IMAGE=python:3.11-slim" in DOCKERFILE
    assert "HEALTHCHECK" in stage("runtime")
    assert DOCKERFILE.rstrip().endswith("FROM runtime")


def test_the_build_context_holds_what_the_image_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert copied <= allowed
