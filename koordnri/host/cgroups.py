"""The cgroup version, kubelet's cgroup driver, and the files that a container's v2 cgroup will have.

The files matter because a `unified` entry without its file keeps a container from starting (runc and crun give up). So a file is
assumed only if it was seen in a cgroup of this kernel, or if every kernel since 5.4 has it.
"""

from __future__ import annotations

from koordnri.host.cgroup.paths import class_directory
from koordnri.host.files import HostFiles
from koordnri.model import CPUSet, KubeQoS, fields
from koordnri.model.field import V1_CONTROLLERS, FieldTableError, Kernels

_ROOT = "sys/fs/cgroup"
_UNIFIED = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_MOST_MOUNTS_BYTES = 1 << 20
_V1_CONTROLLERS = ("cpu", "cpu,cpuacct", "cpuset", "memory")
_COST_FILES = ("io.cost.", "blkio.cost.")
if lost := [f for f in fields.ALL if f.of_root and not f.v2[0].startswith(("/", *_COST_FILES))]:
    raise FieldTableError(f"koordnri.host.cgroups.read_root_files does not look for the files of {lost}")
_V1_EVERYWHERE = "blkio.throttle."
"""Files with this prefix are the same in the hierarchy's root and below, and visible before there are any cgroups."""

_CGROUP_ROOTS = ("", "/kubelet")
"""kubelet's --cgroup-root: the usual one, and that of kind."""

_SURE = [f.v2[0] for f in fields.ALL if f.v2 and f.v2_on is Kernels.ALL]
SURE_FILES = {
    controller: frozenset(name for name in _SURE if name.startswith(f"{controller}."))
    for controller in dict.fromkeys(name.partition(".")[0] for name in _SURE)
}
"""Controller → files below the root that every kernel >= 5.4 with that controller has.

Later additions (cpu.max.burst 5.14, cpu.idle 5.15) are not listed, nor what the kernel's configuration decides. For `io` that is
everything of interest (io.max: BLK_DEV_THROTTLING, io.weight: BLK_CGROUP_IOCOST, io.bfq.weight: BFQ_GROUP_IOSCHED).
"""


def read_version(files: HostFiles) -> int | None:
    """2 if the controllers are in the unified hierarchy, 1 if in v1 hierarchies (also hybrid), None if there are no cgroups."""
    if files.exists(f"{_ROOT}/cgroup.controllers"):
        return 2
    if any(files.exists(f"{_ROOT}/{name}") for name in _V1_CONTROLLERS):
        return 1
    files.missing(_ROOT, "cgroup.controllers (v2) or directories of controllers (v1)")
    return None


def read_read_only(files: HostFiles, version: int | None, driver: str) -> bool:
    """Whether pods' cpusets cannot be written because they are mounted read-only; then it is also a problem of the node.

    The cgroup of all pods decides: it may have a writable mount of its own on a read-only one of all cgroups.
    """
    path = next((path for path in _of_all_pods(version, driver) if files.exists(path)), _top(version))
    if not files.is_read_only(path):
        return False
    files.problems.append(
        f"{files.path(path)}: mounted read-only: nobody is given exclusive CPUs, and nothing that runs follows a changed policy; "
        "mount it writable for koordnri"
    )
    return True


def _top(version: int | None) -> str:
    return f"{_ROOT}/cpuset" if version == 1 else _ROOT


def _of_all_pods(version: int | None, driver: str) -> list[str]:
    """Where the cgroup of all pods may be, in the hierarchy of cpusets."""
    return [f"{_top(version)}/{class_directory(KubeQoS.GUARANTEED, driver, root)}" for root in _CGROUP_ROOTS]


def read_driver(files: HostFiles, version: int | None) -> str:
    """`systemd` or `cgroupfs`, by the directory that kubelet made; before that, by whether systemd runs the host."""
    tops = [_ROOT] if version != 1 else [f"{_ROOT}/{name}" for name in (*_V1_CONTROLLERS, "systemd")]
    for directory, driver in (("kubepods.slice", "systemd"), ("kubepods", "cgroupfs")):
        if any(files.exists(f"{top}/{directory}") for top in tops):
            return driver
    return "systemd" if files.exists("run/systemd/system") else "cgroupfs"


def read_pods_cpus(files: HostFiles, version: int | None, driver: str) -> CPUSet | None:
    """The CPUs that the cgroup of all pods has in effect: no process below it runs elsewhere. None when unknown: kubelet has not made the
    cgroup yet, or it has no cpuset controller.
    """
    names = ("cpuset.effective_cpus", "cpuset.cpus") if version == 1 else ("cpuset.cpus.effective",)
    files_of = [f"{directory}/{name}" for directory in _of_all_pods(version, driver) for name in names]
    # An empty file belongs to a cgroup without processes, and says nothing.
    return next((cpus for file in files_of if (cpus := files.cpus(file))), None)


def read_root_files(files: HostFiles, version: int | None) -> frozenset[str]:
    """Files for the cost control of whole disks, which only the root of all cgroups has; named as in `Field.file`."""
    directory, prefix = (_ROOT, "") if version == 2 else (f"{_ROOT}/blkio", "blkio/")
    found = files.entries(directory)
    return frozenset(prefix + name for name in (found[1] if found else ()) if name.startswith(_COST_FILES))


def read_right_files(files: HostFiles, writes: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What the daemon may write beside cgroups, named as in `Field.file`: (of the processes of a cgroup, of the host)."""
    fields_ = [field for field in fields.ALL if field.right in writes and field.right]
    of_host = frozenset(field.v1 for field in fields_ if field.v1[0] == "/" and files.exists(field.v1[1:]))
    of_processes = frozenset(field.v1 for field in fields_ if field.v1[0] != "/")
    return of_processes if of_processes and files.shares_pids() else frozenset(), of_host


def read_v1_files(files: HostFiles) -> frozenset[str]:
    """`controller/file` that a cgroup below the root has, in the hierarchies that we write; empty when unknown."""
    seen: set[str] = set()
    for controller, names in _V1_HIERARCHIES.items():
        for name in names:
            top = files.entries(f"{_ROOT}/{name}")
            if top is None:
                continue
            seen.update(f"{controller}/{file}" for file in top[1] if file.startswith(_V1_EVERYWHERE))
            for child in top[0]:
                inside = files.entries(f"{_ROOT}/{name}/{child}")
                seen.update(f"{controller}/{file}" for file in (inside[1] if inside else ()))
            break
    return frozenset(seen)


_V1_HIERARCHIES = {
    "cpu": ("cpu", "cpu,cpuacct"),
    "cpuset": ("cpuset",),
    "memory": ("memory",),
    "blkio": ("blkio",),
    "net_cls": ("net_cls", "net_cls,net_prio"),
}
"""Controller of the field table → the hierarchies that it may be mounted in"""
if missing := set(V1_CONTROLLERS) - _V1_HIERARCHIES.keys():
    raise FieldTableError(f"koordnri.host.cgroups does not know where {missing} is mounted")


def read_v2_files(files: HostFiles) -> frozenset[str]:
    """Names of the control files that a container's cgroup will have; empty when unknown.

    A cgroup's files depend on the kernel and on the controllers that its parent enables. So a file of one cgroup below the root exists in
    any other one with that controller, and the files of all first-level cgroups (kubepods, system.slice, init.scope, …) are merged. A
    container has every controller that the root offers, because runc and crun enable them all on the way down. For a controller that no
    first-level cgroup has yet, SURE_FILES apply until the next scan.
    """
    offered = (files.text(f"{_ROOT}/cgroup.controllers") or "").split()
    seen: set[str] = set()
    top = files.entries(_ROOT)
    for child in top[0] if top else ():
        inside = files.entries(f"{_ROOT}/{child}")
        if inside is not None:
            seen.update(inside[1])
    shown = {name.partition(".")[0] for name in seen if name not in _WITHOUT_CONTROLLER}
    for controller in offered:
        if controller not in shown:
            seen |= SURE_FILES.get(controller, frozenset())
    return frozenset(seen)


_WITHOUT_CONTROLLER = frozenset(
    {
        "cpu.stat",
        "cpu.stat.local",
        "cpu.pressure",
        "io.pressure",
        "irq.pressure",
        "memory.pressure",
    }
)
"""Files of a cgroup without any controller: basic statistics and pressure stall information."""


def read_nsdelegate(files: HostFiles) -> bool:
    """Whether the host's cgroup v2 hierarchy is mounted with `nsdelegate`. Source: the sample plugin writable-cgroups, proc(5)."""
    for line in (files.text("proc/1/mountinfo", _MOST_MOUNTS_BYTES) or "").splitlines():
        mount, separator, rest = line.partition(" - ")
        words, kind = mount.split(), rest.split()
        if separator and len(words) > 4 and len(kind) > 2 and kind[0] == "cgroup2" and words[4] in _UNIFIED:
            return "nsdelegate" in kind[2].split(",")
    return False
