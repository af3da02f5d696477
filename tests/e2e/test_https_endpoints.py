"""HTTPS to endpoints with kubectl: an Ingress of a Service whose pod speaks TLS only."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.support.certificates import Authority, serving
from tests.support.demo import HOST, RunningDemo, until

pytestmark = pytest.mark.xdist_group("demo")

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntls!"


@pytest.fixture
def pod() -> Iterator[int]:
    """The port of a program that speaks TLS."""
    context = serving(Authority().issue("pod.example"))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(accepted: socket.socket) -> None:
            with suppress(ssl.SSLError, OSError), context.wrap_socket(accepted, server_side=True) as secured:
                while secured.recv(65536):
                    secured.sendall(ANSWER)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = listening.accept()
                    threading.Thread(target=serve, args=(accepted,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def objects(port: int) -> dict[str, object]:
    metadata = {"namespace": "web-demo", "name": "secured"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{"name": "https", "port": 443, "protocol": "TCP"}]},
    }
    pods = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "secured"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }
    return {"apiVersion": "v1", "kind": "List", "items": [service, pods]}


def ingress(protocol: str) -> dict[str, object]:
    backend = {"service": {"name": "secured", "port": {"number": 443}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "namespace": "web-demo",
            "name": "secured",
            "annotations": {"alb.ingress.kubernetes.io/backend-protocol": protocol},
        },
        "spec": {
            "ingressClassName": "alb",
            "rules": [
                {
                    "host": HOST,
                    "http": {"paths": [{"path": "/secured", "pathType": "Prefix", "backend": backend}]},
                }
            ],
        },
    }


def test_a_pod_that_speaks_tls_is_served_once_the_ingress_says_so(demo: RunningDemo, pod: int) -> None:
    def answer() -> tuple[int, str]:
        url = f"http://127.0.0.1:{demo.port}/secured"
        found = httpx.get(url, headers={"Host": HOST}, trust_env=False)
        return found.status_code, found.text

    demo.kubectl("cluster-1", "apply", "-f", "-", stdin=json.dumps(objects(pod)))
    try:
        demo.kubectl("fleet", "apply", "-f", "-", stdin=json.dumps(ingress("http")))
        until(lambda: answer()[0] == 502, "the pod hangs up on plain HTTP")
        demo.kubectl("fleet", "apply", "-f", "-", stdin=json.dumps(ingress("https")))
        until(lambda: answer() == (200, "tls!"), "TLS to the pod")
    finally:
        demo.kubectl("fleet", "-n", "web-demo", "delete", "ingress/secured", check=False)
        demo.kubectl("cluster-1", "-n", "web-demo", "delete", "service/secured", check=False)
        demo.kubectl("cluster-1", "-n", "web-demo", "delete", "endpointslice/secured", check=False)
