"""cgroups: version, controllers, and whether they can be written."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import Facts

_NEEDED = {
    "cpu": "CPU time (shares, quota, burst, idle)",
    "cpuset": "exclusive CPUs and share pools",
    "memory": "memory protection and limits",
    "io": "disk limits",
}
"""Controller → what is missing without it"""


def check(facts: Facts) -> Iterator[Finding]:
    """Everything about cgroups."""
    cgroups = facts.cgroups
    if not facts.ours.host_found:
        return  # KN0703 has it, and then nothing here is the host's
    if cgroups.version is None:
        yield Finding(
            "KN0401",
            cgroups.path,
            "it has neither the unified hierarchy (cgroup.controllers) nor controllers of v1",
            f"mount the host's cgroups there: in a pod as the hostPath /sys/fs/cgroup at {facts.ours.host_root.rstrip('/')}/sys/fs/cgroup",
        )
        return
    if cgroups.version == 1:
        yield Finding(
            "KN0402",
            cgroups.path,
            "v1 has no memory.min, memory.low and memory.high, and no disk weights of v2; kubelet refuses v1 by default from 1.35 on",
            "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1, with kubelet and runtime on the systemd cgroup driver",
        )
    if cgroups.read_only or not cgroups.writable:
        why = "it is mounted read-only" if cgroups.read_only else "this user may not write there"
        yield Finding(
            "KN0404",
            cgroups.path,
            f"{why}: no container gets exclusive CPUs, and none that runs follows a changed policy",
            "in a pod: run as user 0, and mount the hostPath /sys/fs/cgroup without readOnly; on the host: sudo",
        )
    if cgroups.both_drivers:
        yield Finding(
            "KN0405",
            f"{cgroups.path}/kubepods, {cgroups.path}/kubepods.slice",
            f"one of them is left from another cgroup driver; koordnri takes {cgroups.driver} for kubelet's",
            "after draining the node and stopping kubelet, remove the one that has no processes (rmdir, from the bottom up), or reboot",
        )
    yield from _controllers(facts)


def _controllers(facts: Facts) -> Iterator[Finding]:
    controllers = facts.cgroups.controllers
    if controllers is None:
        return
    for name, what in _NEEDED.items():
        if name in controllers:
            continue
        if facts.cgroups.version == 2:
            fix = (
                f"boot without cgroup_disable={name}; if /sys/fs/cgroup/cgroup.controllers has it, the way down lacks it: "
                f"echo +{name} > /sys/fs/cgroup/cgroup.subtree_control"
            )
        else:
            there = "blkio" if name == "io" else name
            fix = f"boot without cgroup_disable={there}; mount -t cgroup -o {there} cgroup /sys/fs/cgroup/{there}"
        yield Finding("KN0403", name, f"pods have no controller `{name}`: no {what}", fix)
