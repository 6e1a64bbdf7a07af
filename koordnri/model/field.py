"""The columns of the field table: what a row of `koordnri.model.fields` says about a field.

A row names kinds (of spelling, of nesting, …); `koordnri.host.cgroup` has one function per kind. An incomplete row fails the import of the
table with a FieldTableError, which names the field and the column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any


class FieldTableError(Exception):
    """A row of the field table lacks a column, or names an unknown kind. A bug of ours, found at import."""


class Adjust(StrEnum):
    """The part of the reply to CreateContainer that carries a field."""

    RESOURCES = "resources"
    """a field of `LinuxResources`, named by the column `place`"""
    UNIFIED = "unified"
    """an entry of `LinuxResources.unified`: a cgroup v2 file and its text"""
    ENV = "env"
    MOUNT = "mount"
    DEVICE = "device"
    CDI = "cdi"
    RDT = "rdt"
    OOM = "oom"
    PART = "part"
    """whatever part the value itself names: a `Part`. Such a field is only sent at creation"""
    FILE = "file"
    """no part: the daemon writes a cgroup file"""


class Kernels(Enum):
    """On which kernels the v2 file exists."""

    ALL = "below the root, on every kernel since 5.4 with the controller"
    SOME = "below the root, on mainline kernels of some versions or configurations"
    VENDOR = "below the root, on the kernels of Alibaba Cloud Linux and Anolis only"
    ROOT = "in the root of all cgroups only, or on the host alone, on mainline kernels"
    RIGHT = "of the processes of a cgroup, where the daemon may write that (`--write`)"


class Spelling(Enum):
    """How a cgroup file spells a value. `koordnri.host.cgroup.spelling` has one function per member, for v1 and v2."""

    NUMBER = "0 or more"
    SIGNED = "a whole number"
    PROCESSES = "a whole number of each process; several numbers where they differ"
    CPUSET = "a list such as 0-3,8"
    QUOTA = "v1 `50000` or `-1`; v2 the first word of cpu.max"
    PERIOD = "v1 `100000`; v2 the second word of cpu.max"
    SHARES = "v1 shares; v2 the weight that is made of them"
    LIMIT = "bytes; no limit is `-1` on v1, `max` on v2"
    MAX = "bytes; no limit is `max`, also on v1 where a kernel has the file"
    PROTECTION = "bytes; 0 is none, `max` is all"
    DISK_LIMITS = "by disk: rbps= wbps= riops= wiops="
    DISK_WEIGHT = "by disk: a weight, or `default`"
    DISK_LATENCY = "by disk: target="
    DISK_NUMBER = "by disk: a number of up to 64 bits"
    DISK_OPERATIONS = "by disk: a number of up to 32 bits"
    DISK_WORDS = "by disk: words name=value; those left out stay as they are"
    SWITCH = "by name: 1 is the word NAME, 0 is NO_NAME"


class Nesting(Enum):
    """How a value is bounded by that of the parent cgroup. `koordnri.host.cgroup.nesting` has the comparisons of each member."""

    LIMIT = "-1 is no limit; a child may have no limit of its own, else no more than its parent"
    PROTECTION = "what siblings have adds up to no more than their parent's"
    CPUSET = "a child's set lies within its parent's; v2 shows the part that counts in `<file>.effective`"


class Writing(Enum):
    """What else the kernel requires when a field is written. `koordnri.host.cgroup.steps` has one step per member."""

    ALONE = "nothing but its own value"
    BANDWIDTH = "CFS quota, period and burst bound one another"
    KILLS = "a limit below the memory in use kills"
    THROTTLES = "a limit below the memory in use throttles until enough is reclaimed, perhaps for ever"
    VOIDABLE = "the kernel refuses it while another field voids it: see the column `void_while`"
    VOIDS = "changing it makes the kernel forget the fields that it voids"


V1_CONTROLLERS = ("cpu", "cpuset", "memory", "blkio", "net_cls")
"""Controllers of cgroup v1 whose files are read and written. `koordnri.host.cgroups` knows where each is mounted."""

PROCESSES = "processes"
"""In the place of a controller: `processes/oom_score_adj` is /proc/PID/oom_score_adj of all processes of a cgroup."""

_NO_ERRORS: Mapping[int, str] = MappingProxyType({})


class Field:
    """One row of the table: one thing that can be set. Compared and hashed by identity, because the table has the only instances.

    What it is
    name        as in decisions, metrics and `explain`; a keyed field appears there as `name[key]`
    unit        of the value, for people
    keyed       whether there is one value per key: the path of a disk where a cgroup file carries the field
    same        whether two values mean the same to the kernel; default: they are equal

    Where it is sent
    adjust      the part of the reply to CreateContainer that carries it
    place       with Adjust.RESOURCES: its path in NRI's LinuxResources, such as `cpu.quota.value`
    update      whether an update through the runtime reaches a running container

    Its cgroup file
    v1, v2      the file; v1 with its controller (`cpu/cpu.shares`), v2 in order of preference: the kernel decides which exists.
                `processes/NAME` is a file of each process; a full path (`/proc/sys/vm/x`) is one of the host, for the root's decision
    right       the word of `--write` without which the daemon may not write it; "": it may
    seen        whether the v1 file exists only on some kernels; then it counts only if it was seen
    v2_on       the kernels that have the v2 file; it counts if it was seen, and on a described node unless VENDOR
    spelling    how the file spells a value
    writing     what else the kernel requires when it is written
    void_while  the field that voids this one: while it has another value than its neutral one, the kernel ignores this one and forgets it
    v1_ceiling  the v1 file beside it that may not be lower; if both are equal, they stay equal
    nesting     how the parent cgroup bounds the value; None: not at all
    in_sandbox  whether a pod's value is for its sandbox's cgroup, as the pod's own cgroup would bound all its containers
    errors      errno → its meaning, where that is not clear

    How it is given back
    neutral     the kernel's value when nobody sets one; required for all that can be changed while a container runs
    whole       with a neutral "": the attribute of NodeState that is given back instead, because a cpuset cannot be unset
    noted       whether a container's original is noted when it is first set, since kubelet's value cannot be read later
    baseline    the attribute of Resources with what kubelet asked for; "": kubelet asks for none, or in `unified`
    on_pod      whether kubelet sets it on pods' cgroups; then the file is more reliable than the runtime's report
    on_class    whether kubelet sets it on the QoS classes' cgroups

    Raises FieldTableError when a column requires another one that is missing.
    """

    __slots__ = (
        "adjust", "baseline", "errors", "in_sandbox", "keyed", "name", "nesting", "neutral", "noted", "on_class",
        "on_pod", "place", "right", "same", "seen", "spelling", "unit", "update", "v1", "v1_ceiling", "v2", "v2_on",
        "void_while", "whole", "writing",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        unit: str,
        adjust: Adjust,
        *,
        keyed: bool = False,
        same: Callable[[Any, Any], bool] | None = None,
        place: str = "",
        update: bool = False,
        v1: str = "",
        v2: tuple[str, ...] = (),
        right: str = "",
        seen: bool = False,
        v2_on: Kernels = Kernels.SOME,
        spelling: Spelling | None = None,
        writing: Writing = Writing.ALONE,
        void_while: Field | None = None,
        v1_ceiling: str = "",
        nesting: Nesting | None = None,
        in_sandbox: bool = False,
        errors: Mapping[int, str] = _NO_ERRORS,
        neutral: Any = None,
        whole: str = "",
        noted: bool = False,
        baseline: str = "",
        on_pod: bool = False,
        on_class: bool = False,
    ) -> None:
        self.name = name
        self.unit = unit
        self.adjust = adjust
        self.keyed = keyed
        self.same = same or (lambda a, b: bool(a == b))
        self.place = place
        self.update = update
        self.v1 = v1
        self.v2 = v2
        self.right = right
        self.seen = seen
        self.v2_on = v2_on
        self.spelling = spelling
        self.writing = writing
        self.void_while = void_while
        self.v1_ceiling = v1_ceiling
        self.nesting = nesting
        self.in_sandbox = in_sandbox
        self.errors = errors
        self.neutral = neutral
        self.whole = whole
        self.noted = noted
        self.baseline = baseline
        self.on_pod = on_pod
        self.on_class = on_class
        if lacks := _lacks(self):
            raise FieldTableError(f"field {name}: {lacks}")

    def __repr__(self) -> str:
        return f"<field {self.name}>"

    def named(self, key: str) -> str:
        """The name in a decision: `env[PATH]` for a keyed field."""
        return f"{self.name}[{key}]" if self.keyed else self.name

    @property
    def of_disk(self) -> bool:
        """Whether the key is a disk's path."""
        return self.keyed and bool(self.v1 or self.v2) and not self._on_host

    @property
    def _on_host(self) -> bool:
        return bool(self.v2) and self.v2[0].startswith("/")

    @property
    def of_root(self) -> bool:
        """Whether its v2 file is in the root of all cgroups, or on the host: it is decided for the root alone."""
        return bool(self.v2) and (self.v2_on is Kernels.ROOT or self._on_host)

    def is_void(self, value_of: Callable[[Field], Any]) -> bool:
        """Whether the kernel ignores this field in a cgroup. `value_of` returns the cgroup's value of another field; None: it has none."""
        other = self.void_while
        return other is not None and value_of(other) not in (None, other.neutral)

    def file(self, version: int, present: frozenset[str]) -> str:
        """The cgroup file that carries this field on such a kernel; "" when there is none. On v1 with its controller: `cpu/cpu.shares`.

        Mainline v1 files are assumed; other v1 files and all v2 files count only if they were seen.
        """
        if version == 1:
            return "" if self.seen and self.v1 not in present else self.v1
        return next((f for f in self.v2 if f in present), "")


def _lacks(field: Field) -> str:
    """What is wrong with a row; "" when nothing is."""
    has_file = bool(field.v1 or field.v2)
    return next((text for wrong, text in (*_of_messages(field, has_file), *_of_files(field, has_file)) if wrong), "")


def _of_messages(field: Field, has_file: bool) -> tuple[tuple[bool, str], ...]:
    in_resources = field.adjust is Adjust.RESOURCES
    return (
        (not isinstance(field.adjust, Adjust), f"expected a member of Adjust as `adjust`, got {field.adjust!r}"),
        (in_resources and not field.place, "adjust=RESOURCES needs `place`: its path in LinuxResources, such as cpu.quota.value"),
        (not in_resources and bool(field.place), f"place={field.place!r} needs adjust=RESOURCES"),
        (field.adjust is Adjust.UNIFIED and not field.v2, "adjust=UNIFIED needs `v2`: the file that the entry is named by"),
        (field.adjust is Adjust.PART and (has_file or field.update),
         "adjust=PART is only sent at creation: it has neither a file nor update=True"),
        (field.adjust is Adjust.FILE and not has_file, "adjust=FILE needs `v1` or `v2`: the file that is written"),
        (in_resources and field.update and not field.baseline,
         "an update of LinuxResources needs `baseline`: the attribute of Resources that holds what kubelet asked for"),
        (field.update and field.neutral is None, "update=True needs `neutral`: what is given back when nothing is decided any more"),
        ((field.on_pod or field.on_class) and not field.baseline,
         "on_pod and on_class need `baseline`: the attribute of Resources that kubelet's value goes to"),
    )  # fmt: skip


def _of_files(field: Field, has_file: bool) -> tuple[tuple[bool, str], ...]:
    columns = field.spelling or field.nesting or field.errors or field.seen or field.in_sandbox
    by = field.void_while
    return (
        (has_file and field.spelling is None, "a cgroup file needs `spelling`: how it spells a value"),
        (has_file and field.neutral is None, "a cgroup file needs `neutral`: what it has when nobody sets it"),
        (not has_file and bool(columns), "spelling, nesting, errors, seen and in_sandbox need `v1` or `v2`: the file that they are about"),
        ((field.writing is Writing.VOIDABLE) != (by is not None),
         "writing=VOIDABLE and `void_while` need one another: the field that must be neutral before this one is written"),
        (by is not None and by.writing is not Writing.VOIDS,
         f"void_while={by!r} needs writing=VOIDS there, so that it is written first"),
        (bool(field.v1_ceiling) and (not field.v1 or field.nesting is not Nesting.LIMIT),
         f"v1_ceiling={field.v1_ceiling!r} needs `v1` and nesting=LIMIT: it bounds a limit in a v1 file"),
        (bool(field.v1) and "/" not in field.v1, f"v1={field.v1!r} needs its controller before it, such as cpu/cpu.shares"),
        (bool(field.v1) and field.v1.partition("/")[0] not in (*V1_CONTROLLERS, PROCESSES, ""),
         f"v1={field.v1!r} has a controller that is not one of {', '.join(V1_CONTROLLERS)}: add it to V1_CONTROLLERS"),
        (field.neutral == "" and not field.whole,
         'neutral="" needs `whole`: the attribute of NodeState that is given back, for an empty set is refused'),
    )  # fmt: skip
