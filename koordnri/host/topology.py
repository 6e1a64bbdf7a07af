"""CPU topology from sysfs. Source: the kernel's Documentation/admin-guide/cputopology.rst and ABI/testing/sysfs-devices-system-cpu.

The kernel shows a CPU's topology only while it is online. So offline CPUs are left out, and the numbers have gaps.
"""

from __future__ import annotations

from koordnri.host.files import HostFiles
from koordnri.model.cpuset import CPUSet
from koordnri.model.topology import CPU, Topology

_CPU = "sys/devices/system/cpu"
_NODE = "sys/devices/system/node"
_L3_FIRST = (3, 2, 1, 0, 4)
"""Cache directories in the order in which they are tried; index3 is nearly always the L3 (0 and 1 are L1d and L1i)."""

_L3Key = tuple[str, int | str]


def read_online(files: HostFiles) -> CPUSet | None:
    """The online CPUs; None when unknown."""
    online = files.cpus(f"{_CPU}/online")
    if online is not None and not online:
        files.bad(f"{_CPU}/online", "", "at least one CPU")
        return None
    return online


def read_topology(files: HostFiles) -> Topology | None:
    """The online CPUs with core, L3, NUMA node and socket.

    A missing fact costs only itself: no NUMA directories → node 0 (a kernel without NUMA); no L3 → the NUMA node instead;
    no socket → 0; neither siblings nor core_id → its own core, so that two unknown CPUs do not count as siblings.
    """
    problems = len(files.problems)
    online = read_online(files)
    if online is None:
        if len(files.problems) == problems:
            files.missing(f"{_CPU}/online", "the list of online CPUs")
        return None
    numa = _numa(files, online)
    sockets = _sockets(files, online)
    cores = _cores(files, online, sockets)
    l3 = _l3(files, online, numa)
    return Topology.of([CPU(cpu, cores[cpu], l3[cpu], numa[cpu], sockets[cpu]) for cpu in online])


def read_isolated(files: HostFiles) -> CPUSet:
    """The CPUs that `isolcpus` on the kernel's command line isolates from its scheduler; empty when unknown."""
    return files.cpus(f"{_CPU}/isolated") or CPUSet()


def read_offline(files: HostFiles, topology: Topology | None) -> CPUSet:
    """The CPUs that are plugged in and offline; empty when unknown. The kernel's file `offline` also has those that may be plugged in."""
    present = files.cpus(f"{_CPU}/present")
    return CPUSet() if present is None or topology is None else present - topology.online


def _numa(files: HostFiles, online: CPUSet) -> dict[int, int]:
    found = files.entries(_NODE)
    nodes = [int(name[4:]) for name in found[0] if name[:4] == "node" and name[4:].isdecimal()] if found else []
    numa: dict[int, int] = {}
    for node in sorted(nodes):
        for cpu in files.cpus(f"{_NODE}/node{node}/cpulist") or ():
            numa[cpu] = node
    lost = CPUSet(cpu for cpu in online if cpu not in numa)
    if lost:
        if nodes:
            files.problems.append(
                f"{files.path(_NODE)}: expected each CPU in one NUMA node, got none for {lost}; 0 taken"
            )
        numa.update(dict.fromkeys(lost, 0))
    return numa


def _sockets(files: HostFiles, online: CPUSet) -> dict[int, int]:
    """Socket by CPU. -1 is the kernel's value for "unknown to the firmware" (arm64, old kernels)."""
    found = {cpu: files.number(f"{_CPU}/cpu{cpu}/topology/physical_package_id") for cpu in online}
    lost = CPUSet(cpu for cpu, socket in found.items() if socket is None)
    if lost:
        files.missing(f"{_CPU}/cpu[{lost}]/topology", "physical_package_id")
    return {cpu: max(socket or 0, 0) for cpu, socket in found.items()}


def _cores(files: HostFiles, online: CPUSet, sockets: dict[int, int]) -> dict[int, int]:
    """Core by CPU: the lowest online CPU of the core, from the kernel's list of the core's threads.

    core_id identifies a core on x86 only: on ARM and RISC-V with a device tree it restarts in each cluster, and a package has several. So
    it is used only without such a list.
    """
    cores: dict[int, int] = {}
    without_list: list[int] = []
    for cpu in online:
        if cpu in cores:
            continue
        siblings = _siblings(files, cpu)
        if siblings is None:
            without_list.append(cpu)
        else:
            # All threads at once, so that one file per core is read instead of one per CPU.
            cores.update((other, cpu) for other in siblings if other in online and other not in cores)
    cores.update(_cores_by_id(files, [cpu for cpu in without_list if cpu not in cores], sockets))
    return cores


def _siblings(files: HostFiles, cpu: int) -> CPUSet | None:
    """The threads of the CPU's core; None when unknown. `core_cpus_list` is the newer name (Linux 5.3)."""
    for name in ("thread_siblings_list", "core_cpus_list"):
        path = f"{_CPU}/cpu{cpu}/topology/{name}"
        siblings = files.cpus(path)
        if siblings is None:
            continue
        if cpu in siblings:
            return siblings
        files.bad(path, str(siblings), f"a list with CPU {cpu} in it")
    return None


def _cores_by_id(files: HostFiles, cpus: list[int], sockets: dict[int, int]) -> dict[int, int]:
    """As `_cores`, but by core_id, which is unique within a die only. A CPU without one is its own core."""
    lowest: dict[tuple[int, int, int, int], int] = {}
    cores: dict[int, int] = {}
    lost = []
    for cpu in cpus:
        directory = f"{_CPU}/cpu{cpu}/topology"
        core = files.number(f"{directory}/core_id")
        if core is None:
            lost.append(cpu)
        die = max(files.number(f"{directory}/die_id") or 0, 0)
        key = (sockets[cpu], die, core, 0) if core is not None and core >= 0 else (sockets[cpu], die, -1, cpu)
        cores[cpu] = lowest.setdefault(key, cpu)
    if lost:
        files.missing(f"{_CPU}/cpu[{CPUSet(lost)}]/topology", "thread_siblings_list or core_id")
    return cores


def _l3(files: HostFiles, online: CPUSet, numa: dict[int, int]) -> dict[int, int]:
    """L3 by CPU: the cache's id, as in resctrl; numbers of our own if the kernel has none; the NUMA node without an L3."""
    keys: dict[int, _L3Key] = {}
    for cpu in online:
        if cpu in keys:
            continue
        key, shared = _l3_of(files, cpu)
        keys[cpu] = key or ("numa", numa[cpu])
        if key is not None:
            # All sharing CPUs at once, so that one file per cache is read instead of one per CPU.
            keys.update((other, key) for other in shared if other in online and other not in keys)
    kinds = {kind for kind, _ in keys.values()}
    if kinds <= {"id"} or kinds <= {"numa"}:
        return {cpu: int(number) for cpu, (_, number) in keys.items()}
    number = {key: i for i, key in enumerate(dict.fromkeys(keys[cpu] for cpu in online))}
    return {cpu: number[key] for cpu, key in keys.items()}


def _l3_of(files: HostFiles, cpu: int) -> tuple[_L3Key | None, CPUSet]:
    for index in _L3_FIRST:
        directory = f"{_CPU}/cpu{cpu}/cache/index{index}"
        if files.number(f"{directory}/level") != 3:
            continue
        shared = files.cpus(f"{directory}/shared_cpu_list") or CPUSet()
        number = files.number(f"{directory}/id")
        if number is not None and number >= 0:
            return ("id", number), shared
        if shared:
            return ("cpus", str(shared)), shared
    return None, CPUSet()
