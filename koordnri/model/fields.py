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
    adjust   where the reply to CreateContainer carries it: `cpu`, `memory`, `unified`, `env`, `mount`, `device`, `rdt`, `blockio`, `oom`
    update   whether an update through the runtime reaches the container too
    v1, v2   the cgroup file; v2 names alternatives in order of preference, the kernel decides which exists
    same     whether two values mean the same to the kernel
    """

    __slots__ = ("adjust", "keyed", "name", "same", "unit", "update", "v1", "v2")

    def __init__(
        self,
        name: str,
        unit: str,
        adjust: str,
        *,
        update: bool = False,
        v1: str = "",
        v2: tuple[str, ...] = (),
        keyed: bool = False,
        same: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self.name = name
        self.unit = unit
        self.adjust = adjust
        self.update = update
        self.v1 = v1
        self.v2 = v2
        self.keyed = keyed
        self.same = same or (lambda a, b: bool(a == b))

    def __repr__(self) -> str:
        return f"<field {self.name}>"

    def named(self, key: str) -> str:
        """The name in a decision: `env[PATH]` for a keyed field."""
        return f"{self.name}[{key}]" if self.keyed else self.name

    def file(self, version: int, present: frozenset[str]) -> str:
        """The cgroup file that carries this field on such a kernel; "" when there is none.

        v1 mainline files are taken for granted; what only some vendors' kernels have is not in the table yet.
        """
        if version == 1:
            return self.v1
        return next((f for f in self.v2 if f in present), "")


def _same_limit(a: int | None, b: int | None) -> bool:
    """Quota and memory limits: unset, 0 and every negative number read back as no limit."""
    return (a if a and a > 0 else UNLIMITED) == (b if b and b > 0 else UNLIMITED)


def _same_cpus(a: str, b: str) -> bool:
    """`0-3` = `0,1,2,3`. What is not a cpuset is compared as text, so that a foreign spelling shows as a difference."""
    try:
        return a == b or CPUSet.parse(a) == CPUSet.parse(b)
    except ValueError:
        return False


CPU_CPUS = Field("cpu.cpus", "list", "cpu", update=True, v1="cpuset/cpuset.cpus", v2=("cpuset.cpus",), same=_same_cpus)
CPU_MEMS = Field("cpu.mems", "list", "cpu", update=True, v1="cpuset/cpuset.mems", v2=("cpuset.mems",), same=_same_cpus)
CPU_QUOTA = Field("cpu.quota", "µs", "cpu", update=True, v1="cpu/cpu.cfs_quota_us", v2=("cpu.max",), same=_same_limit)
CPU_PERIOD = Field("cpu.period", "µs", "cpu", update=True, v1="cpu/cpu.cfs_period_us", v2=("cpu.max",))
CPU_SHARES = Field("cpu.shares", "shares", "cpu", update=True, v1="cpu/cpu.shares", v2=("cpu.weight",))
CPU_BURST = Field("cpu.burst", "µs", "unified", update=True, v1="", v2=("cpu.max.burst",))

MEMORY_LIMIT = Field(
    "memory.limit",
    "bytes",
    "memory",
    update=True,
    v1="memory/memory.limit_in_bytes",
    v2=("memory.max",),
    same=_same_limit,
)
MEMORY_MIN = Field("memory.min", "bytes", "unified", update=True, v2=("memory.min",))
MEMORY_LOW = Field("memory.low", "bytes", "unified", update=True, v2=("memory.low",))
MEMORY_HIGH = Field("memory.high", "bytes", "unified", update=True, v2=("memory.high",), same=_same_limit)

IO_MAX = Field("io.max", "rbps wbps (bytes/s) riops wiops (1/s)", "unified", update=True, v2=("io.max",), keyed=True)
IO_WEIGHT = Field("io.weight", "1..10000", "unified", update=True, v2=("io.weight", "io.bfq.weight"), keyed=True)
BLOCKIO_CLASS = Field("blockio.class", "class name", "blockio")

RDT_CLOSID = Field("rdt.closid", "resctrl group", "rdt")
ENV = Field("env", "text", "env", keyed=True)
MOUNT = Field("mount", "bind mount", "mount", keyed=True)
DEVICE = Field("device", "device node", "device", keyed=True)
OOM_SCORE_ADJ = Field("oom_score_adj", "-1000..1000", "oom")

ALL: tuple[Field, ...] = (
    CPU_CPUS,
    CPU_MEMS,
    CPU_QUOTA,
    CPU_PERIOD,
    CPU_SHARES,
    CPU_BURST,
    MEMORY_LIMIT,
    MEMORY_MIN,
    MEMORY_LOW,
    MEMORY_HIGH,
    IO_MAX,
    IO_WEIGHT,
    BLOCKIO_CLASS,
    RDT_CLOSID,
    ENV,
    MOUNT,
    DEVICE,
    OOM_SCORE_ADJ,
)

_BY_NAME = {field.name: field for field in ALL}


def split_name(name: str) -> tuple[Field | None, str]:
    """Inverse of `Field.named`: `io.max[/dev/sda]` → (IO_MAX, "/dev/sda"). None for a field of another version of koordnri."""
    family, bracket, key = name.partition("[")
    field = _BY_NAME.get(family)
    if field is None or field.keyed != bool(bracket):
        return None, ""
    return field, key[:-1] if bracket else ""
