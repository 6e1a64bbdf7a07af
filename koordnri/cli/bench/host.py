"""The node's /sys and /proc for `bench`: every hook can decide there, and every container has its cgroup."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from koordnri.cli.bench.load import CORES, CPUS
from koordnri.model.node import MAINLINE_V2_FILES
from koordnri.wire import api_pb2 as api

CLASSES = ("kubepods.slice", "kubepods.slice/kubepods-burstable.slice", "kubepods.slice/kubepods-besteffort.slice")
_NEW = {
    "cpu.max": "max 100000",
    "cpu.max.burst": "0",
    "cpu.weight": "100",
    "cpu.idle": "0",
    "io.weight": "default 100",
    "memory.max": "max",
    "memory.min": "0",
    "memory.low": "0",
    "memory.high": "max",
    "memory.oom.group": "0",
    "memory.current": "1048576",
}
"""Files of a new v2 cgroup → content. Others are empty."""
_NO_LIMIT_V1 = str((1 << 63) - 4096)
_NEW_V1 = {
    "cpuset/cpuset.cpus": f"0-{CPUS - 1}",
    "cpuset/cpuset.effective_cpus": f"0-{CPUS - 1}",
    "cpuset/cpuset.mems": "0-1",
    "cpu/cpu.cfs_quota_us": "-1",
    "cpu/cpu.cfs_period_us": "100000",
    "cpu/cpu.cfs_burst_us": "0",
    "cpu/cpu.shares": "1024",
    "memory/memory.limit_in_bytes": _NO_LIMIT_V1,
    "memory/memory.usage_in_bytes": "1048576",
}
"""The same of v1, with the controller. These are the files of a mainline kernel."""
HOOK_PROGRAM = "usr/libexec/oci/hook"
OCI_HOOKS: dict[str, dict[str, Any]] = {
    "gpu": {"annotations": {r"^scheduling\.koordinator\.sh/device-allocated$": ".+"}},
    "profile": {"annotations": {r"^profile\.example\.com/(cpu|memory)$": "^(on|true)$"}, "hasBindMounts": True},
    "shell": {"commands": ["^(/usr)?/bin/(ba|da)?sh$"]},
    "trace": {"annotations": {r"^io\.containers\.trace-syscall$": ".*"}},
}
"""Hook of the OCI runtime → for which containers. Those of kind gpu get one. Only used where the policy says so."""


def write_host(root: Path, cgroups: int = 2) -> None:
    """A node with 64 CPUs on 2 NUMA nodes, this cgroup version, systemd driver, resctrl with koordlet's groups and one disk."""

    def write(path: str, text: object) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    write("sys/devices/system/cpu/online", f"0-{CPUS - 1}")
    for cpu in range(CPUS):
        # Numbered as Linux does on x86: first the first threads of all cores, then the second ones.
        core = cpu % CORES
        base = f"sys/devices/system/cpu/cpu{cpu}"
        write(f"{base}/topology/core_id", core)
        write(f"{base}/topology/physical_package_id", 0)
        node = core * 2 // CORES
        write(f"{base}/cache/index3/level", 3)
        write(f"{base}/cache/index3/id", node)
        write(f"{base}/cache/index3/shared_cpu_list", _of_node(node))
    for node in range(2):
        write(f"sys/devices/system/node/node{node}/cpulist", _of_node(node))
    write("proc/meminfo", f"MemTotal: {256 << 20} kB")
    if cgroups == 2:
        write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids")
    for name in CLASSES:
        _write_cgroup(root, name, {}, cgroups)
    write("sys/class/block/nvme0n1/dev", "259:0")
    write("sys/fs/resctrl/schemata", "L3:0=7ff;1=7ff\nMB:0=100;1=100")
    write("sys/fs/resctrl/info/L3/cbm_mask", "7ff")
    write("sys/fs/resctrl/info/L3/num_closids", 16)
    write("sys/fs/resctrl/info/MB/num_closids", 8)
    write(HOOK_PROGRAM, "")
    for name, when in OCI_HOOKS.items():
        hook = {"version": "1.0.0", "hook": {"path": f"/{HOOK_PROGRAM}"}, "when": when, "stages": ["createRuntime"]}
        write(f"usr/share/containers/oci/hooks.d/{name}.json", json.dumps(hook))
    for group in ("LSR", "LS", "BE"):
        (root / "sys/fs/resctrl" / group).mkdir(parents=True)


def _of_node(node: int) -> str:
    half = CORES // 2
    return f"{node * half}-{node * half + half - 1},{CORES + node * half}-{CORES + node * half + half - 1}"


def cgroup_of(pod: api.PodSandbox, container: api.Container | None = None) -> str:
    """The cgroup of a pod or a container, below /sys/fs/cgroup."""
    # A slice's name contains its whole path: a-b.slice is below a.slice.
    words = pod.linux.cgroup_parent.removesuffix(".slice").split("-")
    path = "/".join("-".join(words[: i + 1]) + ".slice" for i in range(len(words)))
    return path if container is None else f"{path}/cri-containerd-{container.id}.scope"


def write_cgroups(root: Path, pod: api.PodSandbox, containers: Collection[api.Container], cgroups: int = 2) -> None:
    """The cgroups of a pod and its containers as kubelet and the runtime make them, of plain files that keep what is written."""
    for container in containers:
        write_container_cgroup(root, pod, container, cgroups)
    write_pod_cgroup(root, pod, containers, cgroups)


def write_container_cgroup(root: Path, pod: api.PodSandbox, container: api.Container, cgroups: int = 2) -> None:
    """What the runtime makes; the pod's own stays as it is."""
    resources = container.linux.resources
    cpu, limit = resources.cpu, resources.memory.limit.value
    if cgroups == 1:
        asked = _limits_v1(cpu.quota.value, limit) | {"cpu/cpu.shares": str(cpu.shares.value)}
    else:
        weight = 1 + (cpu.shares.value - 2) * 9999 // 262142
        asked = dict(resources.unified) | _limits(cpu.quota.value, limit) | {"cpu.weight": str(weight)}
    _write_cgroup(root, cgroup_of(pod, container), asked, cgroups)


def write_pod_cgroup(root: Path, pod: api.PodSandbox, containers: Iterable[api.Container], cgroups: int = 2) -> None:
    """What kubelet makes before the pod's sandbox: it has the sum of its containers' limits."""
    quota = memory = 0
    for container in containers:
        resources = container.linux.resources
        quota, memory = quota + resources.cpu.quota.value, memory + resources.memory.limit.value
    limits = _limits_v1 if cgroups == 1 else _limits
    _write_cgroup(root, cgroup_of(pod), limits(quota, memory), cgroups)


def _limits(quota: int, memory: int) -> dict[str, str]:
    """File contents for limits in µs and bytes; 0: no limit."""
    return {"cpu.max": f"{quota or 'max'} 100000", "memory.max": str(memory or "max")}


def _limits_v1(quota: int, memory: int) -> dict[str, str]:
    return {"cpu/cpu.cfs_quota_us": str(quota or -1), "memory/memory.limit_in_bytes": str(memory or _NO_LIMIT_V1)}


def _write_cgroup(root: Path, directory: str, asked: dict[str, str], cgroups: int = 2) -> None:
    new = _NEW_V1 if cgroups == 1 else {**dict.fromkeys(MAINLINE_V2_FILES, ""), **_NEW}
    for name, text in new.items():
        controller, _, file = name.rpartition("/")
        path = root / "sys/fs/cgroup" / controller / directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{asked.get(name, text)}\n")
