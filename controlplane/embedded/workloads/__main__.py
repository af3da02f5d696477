"""`python -m controlplane.embedded.workloads`: the controllers of one embedded cluster as a process.

Apart from its API server, so that pods go on when the API server dies, as they do on real nodes.
"""

import argparse
import asyncio
import base64
import sys
from pathlib import Path

import uvloop
import yaml

from controlplane.embedded.controller import run_controller
from controlplane.system import signals


async def work(kubeconfig: Path, cluster: str) -> None:
    """Run the controllers until SIGTERM or SIGINT."""
    config = yaml.safe_load(kubeconfig.read_text())
    server = config["clusters"][0]["cluster"]
    encoded = server.get("certificate-authority-data")
    task = asyncio.ensure_future(
        run_controller(
            server["server"],
            config["users"][0]["user"]["token"],
            cluster=cluster,
            ca_pem=base64.b64decode(encoded) if encoded else None,
        )
    )
    asked = asyncio.Event()
    signals.install(asked.set, signals.nothing_to_reopen)
    ending = asyncio.ensure_future(asked.wait())
    await asyncio.wait((task, ending), return_when=asyncio.FIRST_COMPLETED)
    signals.hold_until_exit()  # a second one must not cut the end of the pods short
    ending.cancel()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m controlplane.embedded.workloads", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the cluster's API server")
    parser.add_argument("--cluster", required=True, help="name of the cluster, and of its node")
    given = parser.parse_args()
    try:
        uvloop.run(work(given.kubeconfig, given.cluster))
    except (OSError, KeyError, yaml.YAMLError) as error:
        print(f"error: --kubeconfig {given.kubeconfig} cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
