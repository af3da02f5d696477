"""Which clients need the token of the admin API, and which files may hold one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from controlplane.admin.access import AdminAccess
from controlplane.admin.app import build_app
from controlplane.admin.server import AdminServer
from controlplane.admin.token import TokenError, TokenFile, new_token
from tests.admin.test_api import Fixed
from tests.support.admintoken import BEARER, TOKEN, token_file
from tests.support.states import serving

EXPLAIN = {"url": "http://shop.example.com:8001/"}
WRONG = {"Authorization": f"Bearer {TOKEN}x"}


@asynccontextmanager
async def asking(
    *, is_local: bool, token: TokenFile | None = None, path: str = ""
) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(Fixed(serving()), (), AdminAccess(token or token_file(), is_local))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:9901") as api:
        yield api


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
async def test_probes_need_no_token(path: str) -> None:
    async with asking(is_local=False) as api:
        assert (await api.get(path)).status_code == 200
        assert (await api.head(path)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/metrics", "/api/v1/overview", "/api/v1/snapshot", "/api/v1/diagnostics", "/nowhere"]
)
async def test_reading_needs_a_token_unless_the_api_listens_on_loopback(path: str) -> None:
    async with asking(is_local=True) as api:
        assert (await api.get(path)).status_code != 401
    async with asking(is_local=False) as api:
        refused = await api.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Bearer realm="fleetgate"'
        assert "tokenFile" not in refused.json()
        assert (await api.get(path, headers=WRONG)).status_code == 401
        assert (await api.get(path, headers=BEARER)).status_code != 401


@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize("path", ["/api/v1/explain", "/api/v1/diff", "/api/v1/failback", "/readyz"])
async def test_no_post_is_answered_without_the_token(path: str, is_local: bool) -> None:
    async with asking(is_local=is_local) as api:
        for headers in (
            {},
            WRONG,
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer \xe9"},
        ):
            raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
            answer = await api.post(path, json=EXPLAIN, headers=raw)
            assert answer.status_code == 401
            assert TOKEN not in answer.text
        assert (await api.post(path, json=EXPLAIN, headers=BEARER)).status_code != 401


async def test_two_authorizations_are_none() -> None:
    async with asking(is_local=True) as api:
        twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
        assert (await api.post("/api/v1/explain", json=EXPLAIN, headers=twice)).status_code == 401


async def test_a_replaced_file_is_a_replaced_token(tmp_path: Path) -> None:
    path = private(tmp_path / "token", b"the-first-token-there-was\n")
    async with asking(is_local=False, token=TokenFile(path)) as api:
        first = {"Authorization": "Bearer the-first-token-there-was"}
        assert (await api.get("/metrics", headers=first)).status_code == 200
        private(tmp_path / "next", b"another-token-altogether").replace(path)
        assert (await api.get("/metrics", headers=first)).status_code == 401
        second = {"Authorization": "bearer another-token-altogether"}
        assert (await api.get("/metrics", headers=second)).status_code == 200
        path.unlink()
        assert (await api.get("/metrics", headers=second)).status_code == 503


def private(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_token_that_others_can_read_or_write_is_none(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "token", new_token(), mode)
    with pytest.raises(TokenError, match="chmod 600"):
        TokenFile(path).read()


@pytest.mark.parametrize("data", [b"", b"short", b"two words of a token", b"x" * 2000, b"\xff" * 32])
def test_a_token_is_one_long_word(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(TokenError, match="16 to 1024") as caught:
        TokenFile(private(tmp_path / "token", data)).read()
    assert "short" not in str(caught.value)


def test_a_file_that_is_none_is_no_token(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(TokenError):
            TokenFile(path).read()


def test_a_mounted_secret_is_read_through_its_link(tmp_path: Path) -> None:
    private(tmp_path / "..data", new_token())
    (tmp_path / "token").symlink_to("..data")
    assert len(TokenFile(tmp_path / "token").read()) == 64


@pytest.mark.parametrize(
    ("host", "is_local"), [("127.0.0.1", True), ("localhost", True), ("127.0.0.2", True), ("0.0.0.0", False)]
)
async def test_the_address_of_the_api_decides_whether_a_token_is_needed(host: str, is_local: bool) -> None:
    server = AdminServer(host, 0, ())
    assert server.is_local is is_local
    await server.start(Fixed(serving()), token_file())
    port = server.address.rpartition(":")[2]
    address = host if host != "0.0.0.0" else "127.0.0.1"
    try:
        async with httpx.AsyncClient(trust_env=False) as api:
            status = (await api.get(f"http://{address}:{port}/metrics")).status_code
            assert status == (200 if is_local else 401)
    finally:
        await server.stop()
