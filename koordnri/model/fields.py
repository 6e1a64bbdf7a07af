"""The table of everything that can be set on a container or a pod: unit, equality, and where each runtime or kernel takes it.

This is the only place that knows units, files and routes of a field. Sources: nri.md 2.6 and 5.4 (what an adjustment and an
update really carry), cgroup-v1/v2 documentation (files), push.md ("what an update through the runtime can carry").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from koordnri.model.cpuset import CPUSet

UNLIMITED = -1
"""How "no limit" is written in quota and memory fields, as in OCI specs."""


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


class Field:
    """One thing that can be set. Compared and hashed by identity: the instances below are the only ones.

    name     as in decisions, metrics and `explain`; a keyed field appears there as `name[key]`
    unit     of the value, for people
    adjust   where the reply to CreateContainer carries it: `cpu`, `memory`, `unified`, `env`, `mount`, `device`, `cdi`, `rdt`, `blockio`,
             `oom`; `file`: nowhere, a cgroup file is written
    update   whether an update through the runtime reaches the container too
    v1, v2   the cgroup file; v2 names alternatives in order of preference, the kernel decides which exists
    seen     whether v1's file is there only on some kernels, so that it counts only where it was seen
    neutral  what a `file` field has when nobody sets it
    same     whether two values mean the same to the kernel
    """

    __slots__ = ("adjust", "keyed", "name", "neutral", "same", "seen", "unit", "update", "v1", "v2")

    def __init__(
        self,
        name: str,
        unit: str,
        adjust: str,
        *,
        update: bool = False,
        v1: str = "",
        v2: tuple[str, ...] = (),
        seen: bool = False,
        keyed: bool = False,
        neutral: Any = None,
        same: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self.name = name
        self.unit = unit
        self.adjust = adjust
        self.update = update
        self.v1 = v1
        self.v2 = v2
        self.seen = seen
        self.keyed = keyed
        self.neutral = neutral
        self.same = same or (lambda a, b: bool(a == b))

    def __repr__(self) -> str:
        return f"<field {self.name}>"

    def named(self, key: str) -> str:
        """The name in a decision: `env[PATH]` for a keyed field."""
        return f"{self.name}[{key}]" if self.keyed else self.name

    def file(self, version: int, present: frozenset[str]) -> str:
        """The cgroup file that carries this field on such a kernel; "" when there is none. On v1 with its controller: `cpu/cpu.shares`.

        v1 mainline files are taken for granted, other ones of v1 and all of v2 count where they were seen.
        """
        if version == 1:
            return "" if self.seen and self.v1 not in present else self.v1
        return next((f for f in self.v2 if f in present), "")


def _same_limit(a: int | None, b: int | None) -> bool:
    """Quota and memory limits: unset, 0 and every negative number read back as no limit."""
    return (a if a and a > 0 else UNLIMITED) == (b if b and b > 0 else UNLIMITED)


def _same_cpus(a: str, b: str) -> bool:
    """`0-3` = `0,1,2,3`. What is not a cpuset is compared as it is, so that a foreign spelling shows as a difference."""
    try:
        return a == b or CPUSet.parse(a) == CPUSet.parse(b)
    except (TypeError, ValueError, AttributeError):
        return False


CPU_CPUS = Field("cpu.cpus", "list", "cpu", update=True, v1="cpuset/cpuset.cpus", v2=("cpuset.cpus",), same=_same_cpus)
CPU_MEMS = Field("cpu.mems", "list", "cpu", update=True, v1="cpuset/cpuset.mems", v2=("cpuset.mems",), same=_same_cpus)
CPU_QUOTA = Field("cpu.quota", "µs", "cpu", update=True, v1="cpu/cpu.cfs_quota_us", v2=("cpu.max",), same=_same_limit)
CPU_PERIOD = Field("cpu.period", "µs", "cpu", update=True, v1="cpu/cpu.cfs_period_us", v2=("cpu.max",))
CPU_SHARES = Field("cpu.shares", "shares", "cpu", update=True, v1="cpu/cpu.shares", v2=("cpu.weight",))
CPU_BURST = Field(
    "cpu.burst", "µs", "unified", update=True, v1="cpu/cpu.cfs_burst_us", v2=("cpu.max.burst",), seen=True
)
CPU_IDLE = Field("cpu.idle", "0 or 1", "file", v1="cpu/cpu.idle", v2=("cpu.idle",), seen=True, neutral=0)
CPU_BVT = Field(
    "cpu.bvt_warp_ns", "-1..2", "file", v1="cpu/cpu.bvt_warp_ns", v2=("cpu.bvt_warp_ns",), seen=True, neutral=0
)

MEMORY_LIMIT = Field(
    "memory.limit",
    "bytes",
    "memory",
    update=True,
    v1="memory/memory.limit_in_bytes",
    v2=("memory.max",),
    same=_same_limit,
)
MEMORY_MIN = Field("memory.min", "bytes", "unified", update=True, v1="memory/memory.min", v2=("memory.min",), seen=True)
MEMORY_LOW = Field("memory.low", "bytes", "unified", update=True, v1="memory/memory.low", v2=("memory.low",), seen=True)
MEMORY_HIGH = Field(
    "memory.high",
    "bytes",
    "unified",
    update=True,
    v1="memory/memory.high",
    v2=("memory.high",),
    seen=True,
    same=_same_limit,
)
MEMORY_OOM_GROUP = Field(
    "memory.oom.group",
    "0 or 1",
    "unified",
    update=True,
    v1="memory/memory.oom.group",
    v2=("memory.oom.group",),
    seen=True,
)


def _vendor_memory(name: str, unit: str, neutral: int = 0) -> Field:
    """A file of Alibaba Cloud Linux' and Anolis' kernels, of both versions."""
    return Field(name, unit, "file", v1=f"memory/{name}", v2=(name,), seen=True, neutral=neutral)


MEMORY_WMARK_RATIO = _vendor_memory("memory.wmark_ratio", "0..100 %")
MEMORY_WMARK_SCALE = _vendor_memory("memory.wmark_scale_factor", "1..1000 ‱", 50)
MEMORY_WMARK_MIN_ADJ = _vendor_memory("memory.wmark_min_adj", "-25..50 %")
MEMORY_PRIORITY = _vendor_memory("memory.priority", "0..12")
MEMORY_PRIORITY_OOM = _vendor_memory("memory.use_priority_oom", "0 or 1")
PAGE_CACHE_ENABLE = _vendor_memory("memory.pagecache_limit.enable", "0 or 1")
PAGE_CACHE_SIZE = _vendor_memory("memory.pagecache_limit.size", "bytes")
PAGE_CACHE_SYNC = _vendor_memory("memory.pagecache_limit.sync", "0 or 1")

IO_MAX = Field("io.max", "rbps wbps (bytes/s) riops wiops (1/s)", "unified", update=True, v2=("io.max",), keyed=True)
IO_WEIGHT = Field(
    "io.weight",
    "1..10000",
    "unified",
    update=True,
    v1="blkio/blkio.bfq.weight_device",
    v2=("io.weight", "io.bfq.weight"),
    seen=True,
    keyed=True,
)
IO_LATENCY = Field("io.latency", "µs", "unified", update=True, v2=("io.latency",), keyed=True)


def _v1_disk(name: str, unit: str, file: str, neutral: int = 0) -> Field:
    """A limit that v1 keeps in a file of its own, by disk."""
    return Field(name, unit, "file", v1=f"blkio/{file}", seen=True, keyed=True, neutral=neutral)


IO_READ_BPS = _v1_disk("io.read_bps", "bytes/s", "blkio.throttle.read_bps_device")
IO_WRITE_BPS = _v1_disk("io.write_bps", "bytes/s", "blkio.throttle.write_bps_device")
IO_READ_IOPS = _v1_disk("io.read_iops", "1/s", "blkio.throttle.read_iops_device")
IO_WRITE_IOPS = _v1_disk("io.write_iops", "1/s", "blkio.throttle.write_iops_device")
IO_COST_WEIGHT = _v1_disk("io.cost.weight", "1..100", "blkio.cost.weight", 100)
IO_COST_QOS = Field(
    "io.cost.qos",
    "text",
    "file",
    v1="blkio/blkio.cost.qos",
    v2=("io.cost.qos",),
    seen=True,
    keyed=True,
    neutral="enable=0",
)
IO_COST_MODEL = Field(
    "io.cost.model",
    "text",
    "file",
    v1="blkio/blkio.cost.model",
    v2=("io.cost.model",),
    seen=True,
    keyed=True,
    neutral="ctrl=auto",
)
BLOCKIO_CLASS = Field("blockio.class", "class name", "blockio")

RDT_CLOSID = Field("rdt.closid", "resctrl group", "rdt")
ENV = Field("env", "text", "env", keyed=True)
MOUNT = Field("mount", "bind mount", "mount", keyed=True)
DEVICE = Field("device", "device node", "device", keyed=True)
CDI = Field("cdi", "names of devices", "cdi", keyed=True)
OOM_SCORE_ADJ = Field("oom_score_adj", "-1000..1000", "oom")

ALL: tuple[Field, ...] = tuple(value for value in globals().values() if isinstance(value, Field))
"""In the order above."""

_BY_NAME = {field.name: field for field in ALL}


def split_name(name: str) -> tuple[Field | None, str]:
    """Inverse of `Field.named`: `io.max[/dev/sda]` → (IO_MAX, "/dev/sda"). None for a field of another version of koordnri."""
    family, bracket, key = name.partition("[")
    field = _BY_NAME.get(family)
    if field is None or field.keyed != bool(bracket):
        return None, ""
    return field, key[:-1] if bracket else ""
