"""A fork server: Python starts and imports a program once, and each run of the program is a fork.

    python -P tests/support/forkserver.py FD MODULE [IMPORTED ...]

A fork runs MODULE as `python -m MODULE` does, with arguments, environment, directory and standard streams
of its own. The imports are done, those of IMPORTED too, and nothing else of the program has run: there is
no event loop and no thread yet. Requests come over the socket FD, one at a time, and
`tests/support/forks.py` sends them. This file is run by the interpreter under test, which has fleetgate,
but no tests: it imports neither.
"""

import importlib
import json
import os
import runpy
import signal
import socket
import sys

MAX_REQUEST_BYTES = 128 << 10


def serve(channel: socket.socket, module: str) -> list[str] | None:
    """Answer requests. Return arguments in a fork that is to run them, None when nobody is left to ask."""
    while True:
        data, fds, flags, _ = socket.recv_fds(channel, MAX_REQUEST_BYTES, 3)
        if not data:
            return None
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "a request is too long"
        request = json.loads(data)
        if "reap" in request:
            channel.send(b"%d" % os.waitpid(request["reap"], 0)[1])
            continue
        pid = os.fork()
        if not pid:
            _become(fds, request["directory"], request["environment"])
            return [module, *request["arguments"]]
        for fd in fds:
            os.close(fd)
        channel.send(b"%d" % pid)


def _become(fds: list[int], directory: str, environment: dict[str, str]) -> None:
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    channel, module = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    for name in sys.argv[2:]:
        importlib.import_module(name)
    del sys.modules[module]  # each fork executes it, under the name __main__
    assert len(os.listdir("/proc/self/task")) == 1, "threads do not survive a fork"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which ends first
    channel.send(b"ready")
    arguments = serve(channel, module)
    if arguments is not None:
        channel.detach()
        sys.argv = arguments
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
