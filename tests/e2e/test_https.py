"""HTTPS with kubectl and curl: the certificate of a Secret, its renewal under load, its faults."""

import asyncio
import json
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.command import fleetgate
from tests.support.demo import HOST, RunningDemo, until
from tests.support.requests import request
from tests.support.wire import RawClient

pytestmark = pytest.mark.xdist_group("demo")

SECRET = ("-n", "web-demo", "secret/web-demo-tls")


def curl(demo: RunningDemo, *options: str, host: str = HOST) -> "subprocess.CompletedProcess[str]":
    place = ("--resolve", f"{host}:{demo.https_port}:127.0.0.1")
    url = f"https://{host}:{demo.https_port}/svc1"
    return subprocess.run(
        ["curl", "-sS", "--max-time", "5", *place, *options, url], capture_output=True, text=True, check=False
    )


def trusted(demo: RunningDemo) -> tuple[str, str]:
    return "--cacert", str(demo.directory / "ca.crt")


def shown(demo: RunningDemo) -> bytes:
    """Return the certificate of the listener, as DER."""

    async def ask() -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = await RawClient.connect(demo.https_port, tls=context, server_name=HOST)
        try:
            return client.certificate()
        finally:
            await client.close()

    return asyncio.run(ask())


def test_curl_trusts_the_certificate_and_gets_both_clusters(demo: RunningDemo) -> None:
    answers = {curl(demo, *trusted(demo)).stdout[:20] for _ in range(20)}
    assert answers == {"This is env cluster1", "This is env cluster2"}
    assert "certificate" in curl(demo).stderr  # an authority that nobody knows


def test_a_host_without_certificate_gets_no_connection(demo: RunningDemo) -> None:
    done = curl(demo, *trusted(demo), host="other.example.com")
    assert (done.returncode, "unrecognized name" in done.stderr) == (35, True), done.stderr


def test_explain_and_the_overview_name_the_protocol(demo: RunningDemo) -> None:
    admin = ("--admin", f"127.0.0.1:{demo.admin_port}")
    url = f"{HOST}:{demo.https_port}/svc1"
    done = fleetgate("explain", "GET", f"https://{url}", *admin)
    assert f"HTTPS :{demo.https_port}" in done.stdout, done.stderr
    assert "write https://" in fleetgate("explain", "GET", f"http://{url}", *admin).stderr
    listeners = httpx.get(f"http://127.0.0.1:{demo.admin_port}/api/v1/overview", trust_env=False).json()[
        "listeners"
    ]
    shown = {each["port"]: (each["protocol"], each["http2"]) for each in listeners}
    assert (shown[demo.https_port], shown[demo.port]) == (("HTTPS", True), ("HTTP", False))


def test_kubectl_shows_the_certificate(demo: RunningDemo) -> None:
    line = demo.kubectl("fleet", "get", "albconfig/https-gateway-demo").splitlines()[1]
    assert f"{demo.https_port}/HTTPS" in line
    assert "web-demo/web-demo-tls" in line


def test_a_renewed_certificate_is_served_at_once_and_no_request_fails(
    demo: RunningDemo, tmp_path: Path
) -> None:
    before = demo.kubectl("fleet", "get", *SECRET, "-o", "json")
    authority = Authority()
    failed: list[str] = []
    counts = {"kept": 0, "opened": 0}

    async def ask_on(client: RawClient) -> None:
        await client.send(request("/svc1", host=HOST))
        status, _, _ = await client.final_response()
        if status != 200:
            failed.append(str(status))

    async def load(done: asyncio.Event) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        kept = await RawClient.connect(demo.https_port, tls=context, server_name=HOST)
        while not done.is_set():
            try:
                await ask_on(kept)
                counts["kept"] += 1
                other = await RawClient.connect(demo.https_port, tls=context, server_name=HOST)
                await ask_on(other)
                await other.close()
                counts["opened"] += 1
            except (OSError, EOFError) as error:
                failed.append(repr(error))
            await asyncio.sleep(0.01)
        await kept.close()

    async def renew() -> None:
        done = asyncio.Event()
        loading = asyncio.create_task(load(done))
        for _ in range(5):
            new = authority.issue(HOST)
            (tmp_path / "tls.crt").write_bytes(new.chain)
            (tmp_path / "tls.key").write_bytes(new.key)
            made = await asyncio.to_thread(
                demo.kubectl, "fleet", "-n", "web-demo", "create", "secret", "tls", "web-demo-tls",
                f"--cert={tmp_path / 'tls.crt'}", f"--key={tmp_path / 'tls.key'}",
                "--dry-run=client", "-o", "json",
            )  # fmt: skip
            await asyncio.to_thread(demo.kubectl, "fleet", "replace", "-f", "-", stdin=made)
            wanted = ssl.PEM_cert_to_DER_cert(new.chain.decode())
            await asyncio.to_thread(until, lambda: shown(demo) == wanted, "the new certificate")  # noqa: B023
        done.set()
        await loading

    try:
        asyncio.run(renew())
    finally:
        demo.kubectl("fleet", "replace", "--force", "-f", "-", stdin=before)
    assert failed == []
    assert counts["kept"] >= 10
    assert counts["opened"] >= 10
    until(lambda: curl(demo, *trusted(demo)).returncode == 0, "the certificate of the demo")
    assert len(stored(demo)) == 1  # renewed pairs are forgotten


def stored(demo: RunningDemo) -> list[str]:
    """Return the certificates of the Secret that the metrics know."""
    return [line for line in demo.metrics().splitlines() if line.startswith("fleetgate_certificate_expiry")]


def test_a_secret_that_goes_bad_is_told_and_its_last_good_pair_is_served(demo: RunningDemo) -> None:
    before = demo.kubectl("fleet", "get", *SECRET, "-o", "json")
    served = shown(demo)
    bad = json.loads(before)
    bad["data"]["tls.key"] = "bm8gUEVN"
    demo.kubectl("fleet", "replace", "-f", "-", stdin=json.dumps(bad))
    try:
        until(lambda: "InvalidCertificate" in described(demo), "the Event")
        assert "tls.key is no PEM private key" in described(demo)
        assert "bm8gUEVN" not in described(demo)
        assert shown(demo) == served
    finally:
        demo.kubectl("fleet", "replace", "--force", "-f", "-", stdin=before)


def described(demo: RunningDemo) -> str:
    return demo.kubectl("fleet", "-n", "web-demo", "describe", "ingress/web-demo-https")


def test_a_listener_with_authorities_lets_in_only_clients_that_they_know(
    demo: RunningDemo, tmp_path: Path
) -> None:
    authority, stranger = Authority("clients"), Authority("others")
    options: dict[str, tuple[str, ...]] = {"none": trusted(demo)}
    for name, issuer in (("till", authority), ("stranger", stranger)):
        own = issuer.issue(name)
        (tmp_path / name).write_bytes(own.key + own.chain)
        options[name] = (*trusted(demo), "--cert", str(tmp_path / name))
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    config = "albconfig/https-gateway-demo"
    before = demo.kubectl("fleet", "get", config, "-o", "json")
    demanding = json.loads(before)
    for listener in demanding["spec"]["listeners"]:
        if listener["protocol"] == "HTTPS":
            listener |= {"caEnabled": True, "caCertificates": [{"CertificateId": "web-demo/clients"}]}
    try:
        demo.kubectl("fleet", "replace", "-f", "-", stdin=json.dumps(demanding))
        until(lambda: curl(demo, *options["till"]).returncode != 0, "nobody is let in")
        until(lambda: "FG0326" in demo.kubectl("fleet", "describe", config), "the Event")
        made = ("secret", "generic", "clients", f"--from-file={tmp_path / 'ca.crt'}")
        demo.kubectl("fleet", "-n", "web-demo", "create", *made)
        until(lambda: curl(demo, *options["till"]).returncode == 0, "the client with a certificate")
        for name in ("none", "stranger"):
            assert curl(demo, *options[name]).returncode != 0
        outcomes = [line for line in demo.metrics().splitlines() if "handshakes_total{" in line]
        assert any('outcome="certificate_required"' in line for line in outcomes)
        assert any('outcome="certificate_refused"' in line for line in outcomes)
    finally:
        demo.kubectl("fleet", "replace", "--force", "-f", "-", stdin=before)
        demo.kubectl("fleet", "-n", "web-demo", "delete", "secret/clients", "--ignore-not-found")
    until(lambda: curl(demo, *options["none"]).returncode == 0, "clients without a certificate")
