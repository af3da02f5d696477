"""nginx: where it is, and the frame of its configurations."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtest.kit.programs import daemon, write
from loadtest.kit.site import IDLE_TIMEOUT_S

LONG_LIVED = "keepalive_requests 1000000000;"
"""Directive without which a connection ends after 1000 requests, which no other proxy does."""
_FRAME = """
daemon off;
{main}
pid {directory}/nginx.pid;
error_log stderr {level};
events {{ {events} }}
http {{
    client_body_temp_path {directory}/client-body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_timeout {idle}s;
    {http}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    binary: str

    def version(self) -> str:
        done = subprocess.run([self.binary, "-v"], capture_output=True, text=True, check=True)
        return done.stderr.strip().rpartition("/")[2]

    def command(
        self,
        directory: Path,
        *,
        main: str,
        http: str,
        events: str = "worker_connections 16384; multi_accept on;",
        level: str = "warn",
    ) -> list[str]:
        """Write a configuration: `main`, `events` and `http` are the contents of these contexts, `level` is
        that of the error log. Return the command that serves it; with -t it checks the file."""
        text = _FRAME.format(
            directory=directory, main=main, http=http, events=events, level=level, idle=IDLE_TIMEOUT_S
        )
        return [self.binary, "-p", str(directory), "-c", write(directory / "nginx.conf", text)]


def find() -> Nginx:
    """Return the installed nginx. Raises Missing."""
    return Nginx(daemon("nginx", "nginx-light"))
