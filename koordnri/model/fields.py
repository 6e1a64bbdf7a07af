"""The table of everything that can be set on a container, a pod, a QoS class or the root cgroup: one row per field, and no other table.

`koordnri.model.field` explains the columns. Everything that turns a row into files and messages reads it here: routes, difference and
resources (model), spelling, nesting, steps and value (host.cgroup), encode and translate (session), planner and comparison (reconcile).
A new field is a new row. If a row needs code that does not exist yet (a spelling, an attribute of Resources), an import fails with a
FieldTableError that says what is missing.

Sources: NRI's api.proto (what an adjustment and an update carry), the kernel's cgroup-v1 and cgroup-v2 documentation (files).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from koordnri.model.convert import CFS_PERIOD_US, SHARES_PER_CPU
from koordnri.model.cpuset import CPUSet
from koordnri.model.field import PROCESSES, Adjust, FieldTableError, Kernels, Nesting, Spelling, Writing
from koordnri.model.field import Field as Field  # the table's users get it from here

UNLIMITED = -1
"""The value for "no limit" in quota and memory fields, as in OCI specs."""


class Mount(NamedTuple):
    """Value of `mount[/path]`; the key is the destination in the container."""

    source: str
    type: str = "bind"
    options: tuple[str, ...] = ("rbind",)


class Device(NamedTuple):
    """Value of `device[/dev/x]`; the key is the path in the container."""

    type: str
    major: int
    minor: int
    file_mode: int = 0o666


class Part(NamedTuple):
    """Value of a field that only the reply to CreateContainer carries (`Adjust.PART`)."""

    text: str
    """for people"""
    content: Mapping[str, Any]
    """a part of NRI's ContainerAdjustment, by the names of its message: {"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 9, "soft": 9}]}"""


def _same_limit(a: int | None, b: int | None) -> bool:
    """Quota and memory limits: unset, 0 and all negative numbers mean no limit."""
    return (a if a and a > 0 else UNLIMITED) == (b if b and b > 0 else UNLIMITED)


def _same_cpus(a: str, b: str) -> bool:
    """`0-3` = `0,1,2,3`. Texts that are no cpuset are compared literally, so that they count as different."""
    try:
        return a == b or CPUSet.parse(a) == CPUSet.parse(b)
    except (TypeError, ValueError, AttributeError):
        return False


CPU_CPUS = Field(
    "cpu.cpus",
    "list",
    Adjust.RESOURCES,
    place="cpu.cpus",
    update=True,
    same=_same_cpus,
    v1="cpuset/cpuset.cpus",
    v2=("cpuset.cpus",),
    v2_on=Kernels.ALL,
    spelling=Spelling.CPUSET,
    nesting=Nesting.CPUSET,
    in_sandbox=True,
    neutral="",
    whole="all_cpus",
    baseline="cpus",
    errors={
        errno.EACCES: "its parent has not all of these CPUs",
        errno.EBUSY: "a cgroup below still has CPUs that would be taken away",
        errno.EINVAL: "not online, or of an exclusive cpuset",
        errno.ERANGE: "there are not so many CPUs",
        errno.ENOSPC: "processes run in it and would be left without a CPU",
    },
)
CPU_MEMS = Field(
    "cpu.mems",
    "list",
    Adjust.RESOURCES,
    place="cpu.mems",
    update=True,
    same=_same_cpus,
    v1="cpuset/cpuset.mems",
    v2=("cpuset.mems",),
    v2_on=Kernels.ALL,
    spelling=Spelling.CPUSET,
    nesting=Nesting.CPUSET,
    neutral="",
    whole="memory_nodes",
    baseline="mems",
    errors={
        errno.EACCES: "its parent has not all of these memory nodes",
        errno.EBUSY: "a cgroup below still has memory nodes that would be taken away",
    },
)
CPU_QUOTA = Field(
    "cpu.quota",
    "µs",
    Adjust.RESOURCES,
    place="cpu.quota.value",
    update=True,
    same=_same_limit,
    v1="cpu/cpu.cfs_quota_us",
    v2=("cpu.max",),
    v2_on=Kernels.ALL,
    spelling=Spelling.QUOTA,
    writing=Writing.BANDWIDTH,
    nesting=Nesting.LIMIT,
    neutral=UNLIMITED,
    baseline="cpu_quota",
    on_pod=True,
    errors={
        errno.EINVAL: "more than its parent may use, less than a cgroup below may, less than 1000 µs or than cpu.burst"
    },
)
CPU_PERIOD = Field(
    "cpu.period",
    "µs",
    Adjust.RESOURCES,
    place="cpu.period.value",
    update=True,
    v1="cpu/cpu.cfs_period_us",
    v2=("cpu.max",),
    v2_on=Kernels.ALL,
    spelling=Spelling.PERIOD,
    writing=Writing.BANDWIDTH,
    neutral=CFS_PERIOD_US,
    baseline="cpu_period",
    errors={errno.EINVAL: "not within 1000..1000000 µs, or quota and period together are more than the parent's"},
)
CPU_IDLE = Field(
    "cpu.idle",
    "0 or 1",
    Adjust.FILE,
    v1="cpu/cpu.idle",
    v2=("cpu.idle",),
    seen=True,
    spelling=Spelling.NUMBER,
    writing=Writing.VOIDS,
    neutral=0,
)
CPU_SHARES = Field(
    "cpu.shares",
    "shares",
    Adjust.RESOURCES,
    place="cpu.shares.value",
    update=True,
    v1="cpu/cpu.shares",
    v2=("cpu.weight",),
    v2_on=Kernels.ALL,
    spelling=Spelling.SHARES,
    writing=Writing.VOIDABLE,
    void_while=CPU_IDLE,
    neutral=SHARES_PER_CPU,
    baseline="cpu_shares",
    on_class=True,
)
CPU_BURST = Field(
    "cpu.burst",
    "µs",
    Adjust.UNIFIED,
    update=True,
    v1="cpu/cpu.cfs_burst_us",
    v2=("cpu.max.burst",),
    seen=True,
    spelling=Spelling.NUMBER,
    writing=Writing.BANDWIDTH,
    neutral=0,
    errors={errno.EINVAL: "more than the quota"},
)
CPU_BVT = Field(
    "cpu.bvt_warp_ns",
    "-1..2",
    Adjust.FILE,
    v1="cpu/cpu.bvt_warp_ns",
    v2=("cpu.bvt_warp_ns",),
    v2_on=Kernels.VENDOR,
    seen=True,
    spelling=Spelling.SIGNED,
    neutral=0,
)

MEMORY_LIMIT = Field(
    "memory.limit",
    "bytes",
    Adjust.RESOURCES,
    place="memory.limit.value",
    update=True,
    same=_same_limit,
    v1="memory/memory.limit_in_bytes",
    v2=("memory.max",),
    v2_on=Kernels.ALL,
    spelling=Spelling.LIMIT,
    writing=Writing.KILLS,
    v1_ceiling="memory.memsw.limit_in_bytes",
    nesting=Nesting.LIMIT,
    neutral=UNLIMITED,
    baseline="memory_limit",
    on_pod=True,
    on_class=True,
    errors={errno.EBUSY: "more is in use and cannot be reclaimed"},
)
MEMORY_MIN = Field(
    "memory.min",
    "bytes",
    Adjust.UNIFIED,
    update=True,
    v1="memory/memory.min",
    v2=("memory.min",),
    v2_on=Kernels.ALL,
    seen=True,
    spelling=Spelling.PROTECTION,
    nesting=Nesting.PROTECTION,
    neutral=0,
)
MEMORY_LOW = Field(
    "memory.low",
    "bytes",
    Adjust.UNIFIED,
    update=True,
    v1="memory/memory.low",
    v2=("memory.low",),
    v2_on=Kernels.ALL,
    seen=True,
    spelling=Spelling.PROTECTION,
    nesting=Nesting.PROTECTION,
    neutral=0,
)
MEMORY_HIGH = Field(
    "memory.high",
    "bytes",
    Adjust.UNIFIED,
    update=True,
    same=_same_limit,
    v1="memory/memory.high",
    v2=("memory.high",),
    v2_on=Kernels.ALL,
    seen=True,
    spelling=Spelling.MAX,
    writing=Writing.THROTTLES,
    nesting=Nesting.LIMIT,
    neutral=UNLIMITED,
)
MEMORY_OOM_GROUP = Field(
    "memory.oom.group",
    "0 or 1",
    Adjust.UNIFIED,
    update=True,
    v1="memory/memory.oom.group",
    v2=("memory.oom.group",),
    v2_on=Kernels.ALL,
    seen=True,
    spelling=Spelling.NUMBER,
    neutral=0,
)


def _vendor_memory(name: str, unit: str, neutral: int = 0, spelling: Spelling = Spelling.NUMBER) -> Field:
    """A file of the kernels of Alibaba Cloud Linux and Anolis, on both cgroup versions."""
    v1, v2 = f"memory/{name}", (name,)
    on = Kernels.VENDOR
    return Field(name, unit, Adjust.FILE, v1=v1, v2=v2, seen=True, v2_on=on, spelling=spelling, neutral=neutral)


MEMORY_WMARK_RATIO = _vendor_memory("memory.wmark_ratio", "0..100 %")
MEMORY_WMARK_SCALE = _vendor_memory("memory.wmark_scale_factor", "1..1000 ‱", 50)
MEMORY_WMARK_MIN_ADJ = _vendor_memory("memory.wmark_min_adj", "-25..50 %", spelling=Spelling.SIGNED)
MEMORY_PRIORITY = _vendor_memory("memory.priority", "0..12")
MEMORY_PRIORITY_OOM = _vendor_memory("memory.use_priority_oom", "0 or 1")
PAGE_CACHE_ENABLE = _vendor_memory("memory.pagecache_limit.enable", "0 or 1")
PAGE_CACHE_SIZE = _vendor_memory("memory.pagecache_limit.size", "bytes")
PAGE_CACHE_SYNC = _vendor_memory("memory.pagecache_limit.sync", "0 or 1")

_NO_DISK: Mapping[int, str] = {errno.ENODEV: "there is no such disk"}

IO_MAX = Field(
    "io.max",
    "rbps wbps (bytes/s) riops wiops (1/s)",
    Adjust.UNIFIED,
    keyed=True,
    update=True,
    v2=("io.max",),
    spelling=Spelling.DISK_LIMITS,
    neutral="rbps=max wbps=max riops=max wiops=max",
    errors=_NO_DISK,
)
IO_WEIGHT = Field(
    "io.weight",
    "1..10000",
    Adjust.UNIFIED,
    keyed=True,
    update=True,
    v1="blkio/blkio.bfq.weight_device",
    v2=("io.weight", "io.bfq.weight"),
    seen=True,
    spelling=Spelling.DISK_WEIGHT,
    neutral="default",
    errors={
        **_NO_DISK,
        errno.EOPNOTSUPP: "the disk has no cost control (io.cost.qos of the root) and no scheduler bfq",
    },
)
IO_LATENCY = Field(
    "io.latency",
    "µs",
    Adjust.UNIFIED,
    keyed=True,
    update=True,
    v2=("io.latency",),
    spelling=Spelling.DISK_LATENCY,
    neutral="target=0",
    errors=_NO_DISK,
)


def _disk_file(
    name: str, unit: str, spelling: Spelling, v1: str, neutral: int | str, v2: tuple[str, ...] = ()
) -> Field:
    """A per-disk field with its own file, which only some kernels have. On v2 the file is in the root of all cgroups."""
    return Field(
        name,
        unit,
        Adjust.FILE,
        keyed=True,
        v1=f"blkio/{v1}",
        v2=v2,
        seen=True,
        v2_on=Kernels.ROOT,
        spelling=spelling,
        neutral=neutral,
        errors=_NO_DISK,
    )


IO_READ_BPS = _disk_file("io.read_bps", "bytes/s", Spelling.DISK_NUMBER, "blkio.throttle.read_bps_device", 0)
IO_WRITE_BPS = _disk_file("io.write_bps", "bytes/s", Spelling.DISK_NUMBER, "blkio.throttle.write_bps_device", 0)
IO_READ_IOPS = _disk_file("io.read_iops", "1/s", Spelling.DISK_OPERATIONS, "blkio.throttle.read_iops_device", 0)
IO_WRITE_IOPS = _disk_file("io.write_iops", "1/s", Spelling.DISK_OPERATIONS, "blkio.throttle.write_iops_device", 0)
IO_COST_WEIGHT = _disk_file("io.cost.weight", "1..100", Spelling.DISK_NUMBER, "blkio.cost.weight", 100)
IO_COST_QOS = _disk_file("io.cost.qos", "text", Spelling.DISK_WORDS, "blkio.cost.qos", "enable=0", ("io.cost.qos",))
IO_COST_MODEL = _disk_file(
    "io.cost.model", "text", Spelling.DISK_WORDS, "blkio.cost.model", "ctrl=auto", ("io.cost.model",)
)
BLOCKIO_CLASS = Field("blockio.class", "class name", Adjust.RESOURCES, place="blockio_class.value")


def _sysctl(path: str, unit: str, on: Kernels = Kernels.VENDOR, name: str = "") -> Field:
    """A file of the host with one number, named as sysctl(8) does, or by its path below /sys."""
    below = path.removeprefix("/proc/sys/")
    by_path = path.rpartition("/")[2] if below == path else below.replace("/", ".")
    return Field(
        name or by_path, unit, Adjust.FILE, v1=path, v2=(path,), right="sysctls", seen=True, v2_on=on, spelling=Spelling.NUMBER, neutral=0
    )  # fmt: skip


VM_MIN_FREE = _sysctl("/proc/sys/vm/min_free_kbytes", "KiB", Kernels.ROOT)
VM_WATERMARK_SCALE = _sysctl("/proc/sys/vm/watermark_scale_factor", "10..1000 ‱", Kernels.ROOT)
MEMCG_REAPER = _sysctl("/sys/kernel/mm/memcg_reaper/reap_background", "0 or 1")
SCHED_GROUP_IDENTITY = _sysctl("/proc/sys/kernel/sched_group_identity_enabled", "0 or 1")
SCHED_IDLE_SAVER = _sysctl("/proc/sys/kernel/sched_idle_saver_wmark", "ns")
PAGE_CACHE_LIMIT = _sysctl("/sys/kernel/mm/pagecache_limit/enabled", "0 or 1", name="pagecache_limit.enabled")
SCHED_FEATURE = Field(
    "sched.feature",
    "0 or 1",
    Adjust.FILE,
    keyed=True,
    v1="/sys/kernel/debug/sched/features",
    v2=("/sys/kernel/debug/sched/features",),
    right="sysctls",
    seen=True,
    v2_on=Kernels.ROOT,
    spelling=Spelling.SWITCH,
    neutral=0,
)
"""Keyed by the name of the feature. Linux before 5.13 has the file elsewhere, and is not served."""

NET_CLASSID = Field(
    "net_cls.classid",
    "tc class",
    Adjust.FILE,
    v1="net_cls/net_cls.classid",
    seen=True,
    spelling=Spelling.NUMBER,
    neutral=0,
)

PIDS_LIMIT = Field("pids.limit", "processes and threads", Adjust.RESOURCES, place="pids.limit")

RDT_CLOSID = Field("rdt.closid", "resctrl group", Adjust.RDT)
ENV = Field("env", "text", Adjust.ENV, keyed=True)
MOUNT = Field("mount", "bind mount", Adjust.MOUNT, keyed=True)
DEVICE = Field("device", "device node", Adjust.DEVICE, keyed=True)
CDI = Field("cdi", "names of devices", Adjust.CDI, keyed=True)
CPUS_ENV = Field("cpus.env", "list", Adjust.ENV, keyed=True)
CPUS_FILE = Field("cpus.file", "bind mount", Adjust.MOUNT, keyed=True)
OOM_SCORE_ADJ = Field(
    "oom_score_adj",
    "-1000..1000",
    Adjust.OOM,
    v1=f"{PROCESSES}/oom_score_adj",
    v2=(f"{PROCESSES}/oom_score_adj",),
    v2_on=Kernels.RIGHT,
    right="processes",
    seen=True,
    spelling=Spelling.PROCESSES,
    neutral=0,
    noted=True,
    errors={
        errno.EACCES: "it is lower than the process had it (capability SYS_RESOURCE), or of another user (DAC_OVERRIDE)"
    },
)


def _injected(name: str, unit: str, keyed: bool = True) -> Field:
    """What annotations put into a container at its creation (koordnri.model.injection)."""
    return Field(name, unit, Adjust.PART, keyed=keyed)


INJECTED_DEVICE = _injected("injected.device", "device node")
INJECTED_CDI = _injected("injected.cdi", "device")
INJECTED_MOUNT = _injected("injected.mount", "mount")
RLIMIT = _injected("rlimit", "soft and hard limit")
IO_PRIORITY = _injected("io_priority", "class and priority", keyed=False)
SCHEDULER = _injected("scheduler", "policy and its parameters", keyed=False)
SYSCTL = _injected("sysctl", "text")
MEMORY_POLICY = _injected("memory_policy", "mode and nodes", keyed=False)
NET_DEVICE = _injected("net_device", "name in the container")
INJECTED_RDT = _injected("injected.rdt", "text")
OCI_HOOK = _injected("oci_hook", "command")
INJECTED_ENV = _injected("injected.env", "text")
INJECTED_ANNOTATION = _injected("injected.annotation", "text")

ALL: tuple[Field, ...] = tuple(value for value in globals().values() if isinstance(value, Field))
"""All fields, in the order above."""
VOIDABLE = tuple(field for field in ALL if field.void_while is not None)
"""Fields that another one can void."""

_BY_NAME = {field.name: field for field in ALL}
if len(_BY_NAME) != len(ALL):
    raise FieldTableError(f"two rows have one name: {sorted(f.name for f in ALL if _BY_NAME[f.name] is not f)}")


@lru_cache(1024)
def split_name(name: str) -> tuple[Field | None, str]:
    """Inverse of `Field.named`: `io.max[/dev/sda]` → (IO_MAX, "/dev/sda"). None for a field of another version of koordnri."""
    family, bracket, key = name.partition("[")
    field = _BY_NAME.get(family)
    if field is None or field.keyed != bool(bracket):
        return None, ""
    return field, key[:-1] if bracket else ""
