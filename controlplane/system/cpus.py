"""How many CPUs this process may use: its affinity, and the cgroups it is in (Linux, cgroup v1 and v2)."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

_ESCAPED = re.compile(r"\\([0-7]{3})")


class _Mount(msgspec.Struct, frozen=True):
    """A line of /proc/self/mountinfo: the part `root` of a cgroup hierarchy is at `point`."""

    root: PurePosixPath
    point: PurePosixPath
    kind: str  # "cgroup" (v1), "cgroup2"
    controllers: frozenset[str]  # of v1


def usable() -> int:
    """Return the number of CPUs that this process can keep busy, at least 1."""
    return limited(len(os.sched_getaffinity(0)), Path("/"))


def limited(affinity: int, root: Path) -> int:
    """Return the least of `affinity` and the limits of the cgroups below `root`; a part of a CPU is a whole.

    A limit that cannot be read, or is no number, does not count.
    """
    limits = [limit for directory in _cgroups(root) for limit in _limits(directory)]
    return max(1, math.ceil(min([affinity, *limits])))


def _cgroups(root: Path) -> Iterator[Path]:
    """Yield the directories of the cgroups that this process is in, and of those around them."""
    mounts = tuple(_mounts(_text(root / "proc/self/mountinfo")))
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        for mount in mounts:
            if (mount.kind == "cgroup2" and not names) or mount.controllers & {*names.split(",")}:
                point = root / mount.point.relative_to("/")
                inside = _inside(PurePosixPath(path), mount.root)
                yield from (point / part for part in (inside, *inside.parents))


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        fields, _, filesystem = line.partition(" - ")
        words, kinds = fields.split(" "), filesystem.split(" ")
        if len(words) < 6 or len(kinds) < 3 or kinds[0] not in ("cgroup", "cgroup2"):
            continue
        root, point = (PurePosixPath(_ESCAPED.sub(_character, word)) for word in words[3:5])
        named = frozenset(kinds[2].split(",")) & {"cpu", "cpuset"} if kinds[0] == "cgroup" else frozenset()
        if point.is_absolute():
            yield _Mount(root, point, kinds[0], named)


def _inside(path: PurePosixPath, root: PurePosixPath) -> PurePosixPath:
    """Return where a cgroup is below a mount of `root`; the mount itself where it is not in sight.

    A container with a namespace of cgroups sees its own as "/"; one without sees the host's path, and
    its own cgroup mounted.
    """
    if ".." in path.parts or not path.is_relative_to(root):
        return PurePosixPath()
    return path.relative_to(root)


def _limits(directory: Path) -> Iterator[float]:
    """Yield the limits of one cgroup, in CPUs."""
    quota, _, period = _text(directory / "cpu.max").partition(" ")  # v2: "150000 100000", "max 100000"
    yield from _quotient(quota, period or "100000")
    yield from _quotient(_text(directory / "cpu.cfs_quota_us"), _text(directory / "cpu.cfs_period_us"))
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus"):
        yield from _listed(_text(directory / name))


def _quotient(quota: str, period: str) -> Iterator[float]:
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):  # "max", "-1": none
        yield int(quota) / int(period)


def _listed(text: str) -> Iterator[float]:
    """Count a list of CPUs such as 0-3,8."""
    count = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return
        count += int(last) - int(first) + 1 if dash else 1
    yield count


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _character(octal: "re.Match[str]") -> str:
    return chr(int(octal[1], 8))
