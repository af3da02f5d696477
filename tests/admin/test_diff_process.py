"""The child process that works out a diff: what it is told, and what a client may make of it."""

import asyncio
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from controlplane.admin.app import build_app
from controlplane.proposal import runner
from controlplane.proposal.__main__ import document
from controlplane.proposal.difference import ProposalError, objects_of
from controlplane.proposal.job import END, Basis, frame, frames, read_basis
from controlplane.proposal.runner import Differ
from controlplane.translate.model import Facts, LastGood
from tests.admin.test_api import Fixed
from tests.support.admintoken import BEARER, local
from tests.support.states import serving
from tests.support.translation import deployed, fleet_of, gateway, member_of

CASES = sorted((Path(__file__).parents[1] / "translate" / "cases").glob("*.yaml"))
URL = "/api/v1/diff"


class Holding(Fixed):
    """A gateway that holds a Fleet of nothing but its AlbConfig."""

    def basis(self) -> Basis | None:
        running = self.state().snapshot
        assert running is not None
        return Basis(running, fleet_of(gateway(8001)))


def client(source: Fixed) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build_app(source, (), local()))
    return httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:9901", headers=BEARER, timeout=30
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_child_is_told_everything(path: Path) -> None:
    """Every object of the golden cases arrives as it was sent."""
    case = yaml.safe_load(path.read_text().partition("\n--- # expected\n")[0])
    running = serving().snapshot
    assert running is not None
    members = {
        cluster: member_of(
            cluster,
            [*deployed(state.get("pods", {}), "10.0.0"), *state.get("objects", [])],
            pods_denied=frozenset(state.get("pods_denied", ())),
            stale=True,
        )
        for cluster, state in case.get("members", {}).items()
    }
    facts = Facts("gw", frozenset(members), {80: "taken"}, trusted_proxies=("10.0.0.0/8",))
    basis = Basis(running, fleet_of(case.get("fleet", [])), members, facts, LastGood())
    assert read_basis(BytesIO(b"".join((*frames(basis), END)))) == basis


def ingress(path: str) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": "shop", "name": "new"},
        "spec": {
            "ingressClassName": "alb",
            "rules": [{"http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}],
        },
    }


def job(*objects: dict[str, Any]) -> BytesIO:
    running = serving().snapshot
    assert running is not None
    body = json.dumps({"objects": objects}).encode()
    basis = Basis(running, fleet_of(gateway(8001)))
    return BytesIO(b"".join((len(body).to_bytes(4, "big"), body, *frames(basis), END, frame({}))))


def test_the_document_has_what_is_added() -> None:
    changes = json.loads(document(job(ingress("/new"))))["changes"]
    assert [each["id"] for each in changes if each["change"] == "added"] == ["shop/new/*/new"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "truncated"),
        (b"{}", "objects"),
        (b'{"objects": {}}', "Expected `array`"),
        (b'{"objects": [5]}', "Expected `object`"),
        (b'{"objects": [{}]}', "an object of no version is not read"),
        (b'{"objects": [{"apiVersion": "v1", "kind": "Pod"}]}', "Pod of v1 is not read"),
        (b'{"objects": [{"apiVersion": 1}]}', "an object cannot be read"),
        (b'{"objects": [], "more": 1}', "unknown field"),
        (b'{"objects": [' + b"[" * 100_000, "an object cannot be read|truncated|recursion|depth"),
        (b'{"objects": ["\xff"]}', "Expected|utf-8|UTF-8"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_a_line(body: bytes, problem: str) -> None:
    with pytest.raises(ProposalError, match=problem) as found:
        objects_of(body)
    assert "\n" not in str(found.value)


async def test_one_diff_is_worked_out_at_a_time() -> None:
    async with client(Holding(serving())) as api:
        asked = [api.post(URL, json={"objects": [ingress(f"/{number}")]}) for number in range(3)]
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [200, 503, 503]
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "2"
                assert "another diff" in answer.json()["detail"]
        assert (await api.post(URL, json={"objects": []})).status_code == 200


async def test_a_longer_body_is_refused_with_the_number() -> None:
    async with client(Holding(serving())) as api:
        content = b" " * ((16 << 20) + 1)
        answer = await api.post(URL, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert "at most 16777216" in answer.json()["detail"]
        answer = await api.post(
            "/api/v1/explain", content=b" " * ((128 << 10) + 1), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 413


async def test_a_mistake_of_the_client_is_a_400_and_lets_the_next_one_in() -> None:
    async with client(Holding(serving())) as api:
        answer = await api.post(URL, json={"objects": [{"kind": "Pod"}]})
        assert (answer.status_code, answer.json()["detail"]) == (400, "Pod of no version is not read")
        assert (await api.post(URL, json={"objects": []})).status_code == 200


async def _rates() -> dict[str, float]:
    return {}


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("import time; time.sleep(60)", "longer than"),
        ("import sys; sys.exit(1)", "ended with status 1"),
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9"),
        ('import sys; sys.stdin.buffer.read(); sys.stdout.write("x" * (1 << 24))', "longer than 1000 bytes"),
    ],
)
async def test_a_child_that_fails_is_told_and_gone(
    script: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "controlplane.proposal.runner.children.python", lambda _: (sys.executable, "-c", script)
    )
    monkeypatch.setattr(runner, "PATIENCE_S", 1.0 if "sleep" in script else 60.0)
    monkeypatch.setattr(runner, "MAX_ANSWER", 1000)
    running = serving().snapshot
    assert running is not None
    with pytest.raises(runner.Failed, match=problem):
        await Differ().difference(b"{}", Basis(running), _rates)
