"""`python -m controlplane.embedded`: an API server for one cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from controlplane.embedded.launch import Options, run
from controlplane.embedded.server import StartError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m controlplane.embedded", description=__doc__)
    parser.add_argument("--name", required=True, help="name of the cluster, and of the kubeconfig's context")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (0: any free one)")
    parser.add_argument("--kubeconfig", type=Path, help="file written, mode 0600, once the server listens")
    parser.add_argument("--token", help="bearer token (default: a random one); better --token-file")
    parser.add_argument("--token-file", type=Path, help="file that holds the bearer token")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM (default: self-signed)")
    parser.add_argument("--tls-key", type=Path, help="private key, PEM")
    parser.add_argument("--advertise", default="", help="host name in the kubeconfig, if not --host")
    parser.add_argument("--apply", type=Path, action="append", default=[], help="manifest file or directory")
    given = vars(parser.parse_args(arguments))
    given["apply"] = tuple(given["apply"])
    try:
        run(Options(**given), lambda line: print(line, flush=True))  # noqa: T201
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
