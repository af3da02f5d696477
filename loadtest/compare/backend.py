"""The backends behind every proxy: nginx for files and fixed answers, a script for the rest."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.compare.peers.nginx import ONE_PROCESS
from loadtest.compare.rows import SIZES, Origin
from loadtest.kit import nginx
from loadtest.kit.processes import Started, module, own_environment

_SERVER = """
    {long_lived}
    access_log off;
    client_header_buffer_size 16k;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=1h;
    default_type text/plain;
    server {{
        {listens}
        root {directory};
        location = /svc1/90B {{ return 200 "{text}"; }}
        location = /svc1/echo {{
            return 200 "$server_port|$http_x_forwarded_for|$http_x_forwarded_proto|{more}";
        }}
        location = /svc1/flaky {{
            if ($server_port = {flaky}) {{ return 503; }}
            return 200 "$server_port";
        }}
    }}
"""
_MORE = "$http_x_forwarded_host|$http_x_request_id"
"""Fields of `echo`. `echo` and `flaky` are for the tests of a proxy: the fields it added, its retries."""


@contextmanager
def started(origin: Origin, ports: list[int], directory: Path, cores: tuple[int, ...]) -> Iterator[list[int]]:
    """Run the backends, one process on each of the cores; yield their ids when all ports accept.

    Raises StartError, Missing.
    """
    pids = []
    with ExitStack() as stack:
        for number, core in enumerate(cores):
            own = directory / f"backend-{number}"
            own.mkdir()
            mine = ports[number :: len(cores)]
            process = _START[origin](own, mine, core)
            stack.callback(process.stop)
            pids.append(process.pid)
            for port in mine:
                process.wait_for_port(port)
        yield pids


def _files(directory: Path, ports: list[int], core: int) -> Started:
    (directory / "svc1").mkdir()
    for name, size in SIZES.items():
        (directory / "svc1" / name).write_bytes(b"." * size)
    listens = "\n        ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    text = "." * SIZES["90B"]
    body = _SERVER.format(
        long_lived=nginx.LONG_LIVED,
        listens=listens,
        directory=directory,
        text=text,
        more=_MORE,
        flaky=ports[0],
    )
    command = nginx.find().command(directory, main=ONE_PROCESS, http=body)
    return Started(command, directory, (core,))


def _script(directory: Path, ports: list[int], core: int) -> Started:
    command = module("loadtest.compare.origin", *map(str, ports))
    return Started(command, directory, (core,), environment=own_environment())


_START = {Origin.FILES: _files, Origin.SCRIPT: _script}
