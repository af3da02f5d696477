"""As many workers as CPUs that may be used: cases as containers and systemd see them."""

import os
from pathlib import Path

import pytest

from controlplane.system import cpus

V2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 23 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
V1_SETS = "34 23 0:30 {root} /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
OTHERS = (
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "35 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
CPU = "sys/fs/cgroup/cpu,cpuacct"
CASES = {
    "no cgroups at all": (4, {}, 4),
    "no limit": (
        4,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "max 100000\n"},
        4,
    ),
    "half a CPU is one worker": (
        4,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        1,
    ),
    "one and a half CPUs are two workers": (
        8,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        2,
    ),
    "a quota without its period": (
        8,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "300000\n"},
        3,
    ),
    "another period": (
        8,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "20000 10000\n"},
        2,
    ),
    "more quota than affinity": (
        2,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "1600000 100000\n"},
        2,
    ),
    "a slice around the service is narrower": (
        16,
        {
            "proc/self/cgroup": "0::/system.slice/fleetgate.service\n",
            "mountinfo": V2,
            "sys/fs/cgroup/system.slice/fleetgate.service/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/system.slice/cpu.max": "250000 100000\n",
        },
        3,
    ),
    "the service is narrower than its slice": (
        16,
        {
            "proc/self/cgroup": "0::/system.slice/fleetgate.service\n",
            "mountinfo": V2,
            "sys/fs/cgroup/system.slice/fleetgate.service/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
        },
        2,
    ),
    "a cgroup outside of the namespace": (
        16,
        {"proc/self/cgroup": "0::/../sibling\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "200000 100000\n"},
        2,
    ),
    "a cpuset of v2": (
        16,
        {"proc/self/cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpuset.cpus.effective": "0-2,8\n"},
        4,
    ),
    "v1 in a container: its own cgroup is mounted": (
        8,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n",
            "mountinfo": V1.format(root="/docker/abc"),
            f"{CPU}/cpu.cfs_quota_us": "250000\n",
            f"{CPU}/cpu.cfs_period_us": "100000\n",
        },
        3,
    ),
    "v1 without a limit": (
        8,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n",
            "mountinfo": V1,
            f"{CPU}/cpu.cfs_quota_us": "-1\n",
            f"{CPU}/cpu.cfs_period_us": "100000\n",
        },
        8,
    ),
    "v1, nested": (
        8,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/kubepods/pod1/ctr\n",
            "mountinfo": V1,
            f"{CPU}/kubepods/pod1/ctr/cpu.cfs_quota_us": "-1\n",
            f"{CPU}/kubepods/pod1/ctr/cpu.cfs_period_us": "100000\n",
            f"{CPU}/kubepods/pod1/cpu.cfs_quota_us": "100000\n",
            f"{CPU}/kubepods/pod1/cpu.cfs_period_us": "100000\n",
        },
        1,
    ),
    "a cpuset of v1": (
        8,
        {
            "proc/self/cgroup": "6:cpuset:/docker/abc\n",
            "mountinfo": V1_SETS.format(root="/docker/abc"),
            "sys/fs/cgroup/cpuset/cpuset.effective_cpus": "1,3\n",
        },
        2,
    ),
    "both versions at once": (
        8,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n0::/\n",
            "mountinfo": V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
            f"{CPU}/cpu.cfs_quota_us": "200000\n",
            f"{CPU}/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    "a mount point with a blank": (
        8,
        {
            "proc/self/cgroup": "0::/\n",
            "mountinfo": V2.replace("/sys/fs/cgroup", r"/sys/fs/c\040group"),
            "sys/fs/c group/cpu.max": "100000 100000\n",
        },
        1,
    ),
    "what makes no sense limits nothing": (
        4,
        {
            "proc/self/cgroup": "nonsense\n0::/\n::\n",
            "mountinfo": "short\n" + V2,
            "sys/fs/cgroup/cpu.max": "0 0\n",
            "sys/fs/cgroup/cpuset.cpus.effective": "0-\n",
        },
        4,
    ),
}


@pytest.mark.parametrize(("affinity", "files", "expected"), CASES.values(), ids=CASES.keys())
def test_the_narrowest_limit_counts(
    affinity: int, files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        if name == "mountinfo":
            name, text = "proc/self/mountinfo", OTHERS + text.replace("{root}", "/")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus.limited(affinity, tmp_path) == expected


def test_this_machine_is_understood() -> None:
    assert 1 <= cpus.usable() <= len(os.sched_getaffinity(0))
