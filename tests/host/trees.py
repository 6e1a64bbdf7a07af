"""Fake host trees: directories with the files of /sys and /proc that koordnri reads, as the kernel writes them. Nothing here is a machine.

What real kernels show was copied in form (newlines, padding, links), not in extent: only the files that are read are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from koordnri.host import read_node
from koordnri.model import NodeState
from koordnri.model.cpuset import CPUSet
from koordnri.model.topology import CPU, Topology

V2_CONTROLLERS = "cpuset cpu io memory hugetlb pids rdma misc"
"""cgroup.controllers of the root on Debian 13."""
BASE_FILES = ("cgroup.procs", "cgroup.controllers", "cpu.stat", "cpu.pressure", "io.pressure", "memory.pressure")
"""In every cgroup below the root, whatever its parent enables."""
CPU_FILES = ("cpu.max", "cpu.max.burst", "cpu.idle", "cpu.weight", "cpu.weight.nice")
MEMORY_FILES = ("memory.max", "memory.min", "memory.low", "memory.high", "memory.oom.group", "memory.current")
CPUSET_FILES = ("cpuset.cpus", "cpuset.mems", "cpuset.cpus.effective")
IO_FILES = ("io.stat", "io.max", "io.weight")


class HostTree:
    """Builds below `root`; every builder returns the tree, so that they chain."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> HostTree:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def remove(self, path: str) -> HostTree:
        """A file, or a directory with all in it."""
        target = self.root / path
        if not target.is_dir():
            target.unlink()
            return self
        for child in target.iterdir():
            self.remove(str(child.relative_to(self.root)))
        target.rmdir()
        return self

    # CPUs

    def cpus(
        self, topology: Topology, *, offline: Iterable[int] = (), l3_id: bool = True, l3: bool = True, numa: bool = True
    ) -> HostTree:
        """All of the topology's CPUs; of an offline one only the directory remains, as in sysfs."""
        absent = CPUSet(offline)
        here = [cpu for cpu in topology.cpus if cpu.cpu not in absent]
        self.write("sys/devices/system/cpu/online", f"{topology.online - absent}\n")
        for cpu in topology.cpus:
            (self.root / f"sys/devices/system/cpu/cpu{cpu.cpu}").mkdir(parents=True)
        for cpu in here:
            first = min(c.core for c in topology.cpus if c.socket == cpu.socket)
            # Twice the number: core_id starts again in each socket and has gaps.
            threads = str(CPUSet(c.cpu for c in here if c.core == cpu.core))
            self.core(cpu.cpu, core_id=(cpu.core - first) * 2, package=cpu.socket, threads=threads)
            self._caches(cpu, here, l3_id, l3)
        for node in sorted({cpu.numa for cpu in topology.cpus}) if numa else ():
            self.numa_node(node, CPUSet(cpu.cpu for cpu in here if cpu.numa == node))
        return self

    def core(self, cpu: int, *, core_id: int, package: int, die: int = 0, threads: str | None = None) -> HostTree:
        """`threads`: the kernel's list of the core's CPUs; None: there is no such file."""
        directory = f"sys/devices/system/cpu/cpu{cpu}/topology"
        self.write(f"{directory}/core_id", f"{core_id}\n")
        self.write(f"{directory}/die_id", f"{die}\n")
        if threads is not None:
            self.write(f"{directory}/thread_siblings_list", f"{threads}\n")
        return self.write(f"{directory}/physical_package_id", f"{package}\n")

    def cache(self, cpu: int, index: int, *, level: int, shared: str, number: int | None) -> HostTree:
        directory = f"sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
        self.write(f"{directory}/level", f"{level}\n")
        if number is not None:
            self.write(f"{directory}/id", f"{number}\n")
        return self.write(f"{directory}/shared_cpu_list", f"{shared}\n")

    def numa_node(self, node: int, cpus: CPUSet) -> HostTree:
        return self.write(f"sys/devices/system/node/node{node}/cpulist", f"{cpus}\n")

    def _caches(self, cpu: CPU, here: list[CPU], l3_id: bool, l3: bool) -> None:
        siblings = str(CPUSet(c.cpu for c in here if c.core == cpu.core))
        for index, level in enumerate((1, 1, 2)):
            self.cache(cpu.cpu, index, level=level, shared=siblings, number=cpu.core if l3_id else None)
        if l3:
            shared = str(CPUSet(c.cpu for c in here if c.l3 == cpu.l3))
            self.cache(cpu.cpu, 3, level=3, shared=shared, number=cpu.l3 if l3_id else None)

    # cgroups

    def cgroup_v1(self, *tops: str) -> HostTree:
        """Hierarchies as systemd mounts them, with these cgroups in each."""
        for controller in ("cpu", "cpuacct", "cpuset", "memory", "blkio", "systemd"):
            self.write(f"sys/fs/cgroup/{controller}/cgroup.procs", "1\n")
            for top in tops:
                self.write(f"sys/fs/cgroup/{controller}/{top}/cgroup.procs", "")
        return self

    def unified_beside_v1(self) -> HostTree:
        """What makes a v1 machine a hybrid one: a v2 hierarchy without controllers."""
        return self.write("sys/fs/cgroup/unified/cgroup.controllers", "\n")

    def cgroup_v2(
        self, controllers: str = V2_CONTROLLERS, cgroups: Mapping[str, Iterable[str]] | None = None
    ) -> HostTree:
        """The unified hierarchy: what the root offers, and per cgroup the files beyond BASE_FILES."""
        self.write("sys/fs/cgroup/cgroup.controllers", controllers + "\n")
        self.write("sys/fs/cgroup/cpuset.cpus.effective", "0-3\n")
        self.write("sys/fs/cgroup/io.cost.qos", "")
        for cgroup, names in (cgroups or {}).items():
            for name in (*BASE_FILES, *names):
                self.write(f"sys/fs/cgroup/{cgroup}/{name}", "")
        return self

    # resctrl

    def resctrl(
        self,
        schemata: str,
        *,
        groups: Collection[str] = (),
        info: Mapping[str, str],
        vendor: str = "GenuineIntel",
    ) -> HostTree:
        """A mounted resctrl; `info` is path below info/ → text."""
        for path, text in info.items():
            self.write(f"sys/fs/resctrl/info/{path}", text)
        self.write("sys/fs/resctrl/info/last_cmd_status", "ok\n")
        self.write("sys/fs/resctrl/schemata", schemata)
        self.write("sys/fs/resctrl/tasks", "1\n")
        self.write("sys/fs/resctrl/mon_data/mon_L3_00/llc_occupancy", "1\n")
        (self.root / "sys/fs/resctrl/mon_groups").mkdir()
        for group in groups:
            self.write(f"sys/fs/resctrl/{group}/schemata", schemata)
        return self.cpuinfo(vendor)

    def cpuinfo(self, vendor: str) -> HostTree:
        lines = "".join(
            f"processor\t: {n}\nvendor_id\t: {vendor}\ncpu family\t: 6\nflags\t\t: fpu vme\n\n" for n in range(4)
        )
        return self.write("proc/cpuinfo", lines)

    # devices, memory, kubelet

    def disk(
        self,
        name: str,
        number: str,
        partitions: Mapping[str, str] | None = None,
        under: str = "pci0000:00/0000:00:1f.2/host0",
        below: Iterable[str] = (),
    ) -> HostTree:
        """A disk in the tree of devices, its partitions in it, and links to all of them in sys/class/block, as in sysfs.

        below   names of the devices that it is made of
        """
        where = f"sys/devices/{under}/block/{name}"
        self._device(name, number, where)
        for other in below:
            (self.root / where / "slaves" / other).mkdir(parents=True)
        for i, (partition, its_number) in enumerate((partitions or {}).items(), 1):
            self._device(partition, its_number, f"{where}/{partition}")
            self.write(f"{where}/{partition}/partition", f"{i}\n")
        return self

    def mapped(self, name: str, number: str, mapped: str, uuid: str = "", below: Iterable[str] = ()) -> HostTree:
        """A device-mapper device."""
        self.disk(name, number, under="virtual", below=below)
        self.write(f"sys/devices/virtual/block/{name}/dm/uuid", f"{uuid}\n")
        return self.write(f"sys/devices/virtual/block/{name}/dm/name", f"{mapped}\n")

    def _device(self, name: str, number: str, where: str) -> None:
        self.write(f"{where}/dev", f"{number}\n")
        link = self.root / "sys/class/block" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("../..").joinpath("..", where))

    def meminfo(self, total_kb: int) -> HostTree:
        return self.write(
            "proc/meminfo", f"MemTotal:       {total_kb:8} kB\nMemFree:          123456 kB\nHugePages_Total:       0\n"
        )

    def cpu_manager(self, policy: str) -> HostTree:
        text = f'{{"policyName":"{policy}","defaultCpuSet":"0-3","entries":{{}},"checksum":1353318690}}'
        return self.write("var/lib/kubelet/cpu_manager_state", text)


def whole_host(root: Path) -> HostTree:
    """One of everything: 2 sockets x 1 node x 2 cores x 2 threads, cgroup v2 with systemd, Intel's resctrl, disks, a static kubelet."""
    files = (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES, *IO_FILES)
    return (
        HostTree(root)
        .cpus(Topology.regular(2, 1, 2, 2))
        .cgroup_v2(cgroups={"kubepods.slice": files, "system.slice": CPU_FILES})
        .resctrl(
            "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n",
            groups=("LSR", "LS", "BE"),
            info={"L3/cbm_mask": "7ff\n", "L3/num_closids": "16\n", "MB/num_closids": "8\n"},
        )
        .disk("sda", "8:0", {"sda1": "8:1"})
        .mapped("dm-0", "253:0", "vg0-root")
        .meminfo(16_318_480)
        .cpu_manager("static")
        .write("sys/devices/system/cpu/isolated", "\n")
    )


LVM = "LVM-3kTdVd0Zq1r"


def read(tree: HostTree) -> NodeState:
    return read_node(tree.root, "n")


def disks(tree: HostTree) -> HostTree:
    """Three disks, of which one has partitions."""
    return tree.disk("sda", "8:0", {"sda1": "8:1", "sda2": "8:2"}).disk("sdb", "8:16").disk("nvme0n1", "259:0")
