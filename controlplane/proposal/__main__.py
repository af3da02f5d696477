"""The child process: a job on standard input, the document on standard output.

It ends with status 3 and one line when the objects of the client cannot be looked at.
"""

import os
import resource
import sys
from typing import BinaryIO

import msgspec

from controlplane.proposal.difference import ProposalError, objects_of, preview, shown
from controlplane.proposal.job import REFUSED, read_basis, read_frame

CPU_S = 120
"""Seconds of CPU time: a bound that does not depend on other load of the machine."""

NICENESS = 5
"""The workers come first."""


def main() -> None:
    _yield_to_others()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        answer, status = document(sys.stdin.buffer), 0
    except ProposalError as error:
        answer, status = str(error).encode(), REFUSED
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    os._exit(status)  # the process ends without freeing its objects one by one


def document(job: BinaryIO) -> bytes:
    """Return the JSON for a job. Raises ProposalError."""
    given = objects_of(read_frame(job))
    basis = read_basis(job)
    translation = preview(basis, given)
    rates = msgspec.msgpack.decode(read_frame(job), type=dict[str, float])
    return msgspec.json.encode(shown(basis.running, translation, rates, given))


def _yield_to_others() -> None:
    """Leave the CPU to the workers, and be the first to go when memory runs out."""
    os.nice(NICENESS)
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:  # no procfs, or none that can be written: then the kernel decides
        pass


if __name__ == "__main__":
    main()
