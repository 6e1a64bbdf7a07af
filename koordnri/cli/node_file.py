"""The file behind `--node`: a described node.

Every key is optional. Unknown keys are refused, since a misspelt one would silently describe another node:

    name, labels, annotations
    memory          a quantity: the node's allocatable memory
    pageSize        a quantity, default 4Ki
    cpuModel, turbo /proc/cpuinfo's "model name", and whether it may run above its base frequency: for cpu-normalization-config
    topology        {sockets, numaPerSocket, coresPerNuma, threadsPerCore}: a regular machine, numbered as Linux does on x86
    cpus            instead of topology: [{cpu, core, l3, numa, socket}…]; default of `core` is the CPU itself, of `l3` its NUMA node
    isolatedCPUs    a CPU list: what `isolcpus` isolates from the kernel's scheduler
    offlineCPUs     a CPU list: plugged in and offline; only `map` shows them
    podsCPUs        a CPU list: the effective cpuset of the cgroup of all pods; absent: unlimited
    cgroup          {version: 1|2, driver: cgroupfs|systemd}
    kubelet         {cpuManagerPolicy: none|static, reservedCPUs: a CPU list}
    resctrl         {vendor: intel|amd, cbmMask: hexadecimal text, numClosids, cacheIDs, groups: default [LSR, LS, BE],
                    memoryBandwidth: default true: whether it limits bandwidth too; percent on Intel, 1/8 GB/s on AMD,
                    managed: default true: whether the daemon may make groups and move threads}
    sharePools      [{socket, node, cpuset}…]; default: the annotation node.koordinator.sh/cpu-shared-pools
    beSharePools    likewise; default: node.koordinator.sh/be-cpu-shared-pools
    blockDevices    {path: "major:minor"}; absent: every device exists
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from koordnri.cli.text_file import read_text
from koordnri.model import CPUSet, NodeState
from koordnri.model.cpuset import MAX_CPU
from koordnri.model.node import Pool, Resctrl
from koordnri.model.node_annotations import check_cpus, read_node_annotations
from koordnri.model.schemata import AMD_FULL, AMD_UNITS, MemoryBandwidth
from koordnri.model.topology import CPU, Topology
from koordnri.policy.errors import DocumentError, Mistake, shown
from koordnri.policy.reader import Document, read
from koordnri.policy.report import Report
from koordnri.policy.text import TextError, parse
from koordnri.policy.units import NotNegative, Positive, Quantity, Text

MAX_BYTES = 4 << 20
"""Largest file. A node of 8192 listed CPUs takes a quarter of it."""

CPUNumber = Annotated[int, Meta(ge=0, le=MAX_CPU)]
_NOT_MANAGED = "the daemon has no rights there to make resctrl groups and to move threads (resctrl.managed of the node's description)"
_DEVICE = re.compile(r"\d{1,7}:\d{1,7}", re.ASCII)


class RegularTopology(Document, frozen=True, forbid_unknown_fields=True):
    """`topology`."""

    sockets: Positive = 1
    numa_per_socket: Positive = 1
    cores_per_numa: Positive = 1
    threads_per_core: Positive = 1

    def check(self) -> Iterator[tuple[str, str]]:
        cpus = self.sockets * self.numa_per_socket * self.cores_per_numa * self.threads_per_core
        if cpus > MAX_CPU + 1:
            yield "sockets", f"expected at most {MAX_CPU + 1} CPUs in all, got {cpus}"


class DescribedCPU(Document, frozen=True, forbid_unknown_fields=True):
    """One of `cpus`."""

    cpu: CPUNumber
    core: NotNegative | None = None
    l3: NotNegative | None = None
    numa: NotNegative = 0
    socket: NotNegative = 0


class Cgroup(Document, frozen=True, forbid_unknown_fields=True):
    """`cgroup`."""

    version: Annotated[int, Meta(ge=1, le=2)] = 2
    driver: Literal["cgroupfs", "systemd"] = "systemd"


class Kubelet(Document, frozen=True, forbid_unknown_fields=True):
    """`kubelet`."""

    cpu_manager_policy: Literal["none", "static"] = "none"
    reserved_cpus: str = field(default="", name="reservedCPUs")


class DescribedResctrl(Document, frozen=True, forbid_unknown_fields=True):
    """`resctrl`."""

    vendor: Literal["intel", "amd"] | None = None
    cbm_mask: Any = "fff"
    num_closids: Positive = 16
    cache_ids: tuple[NotNegative, ...] | None = field(default=None, name="cacheIDs")
    groups: tuple[Text, ...] = ("LSR", "LS", "BE")
    memory_bandwidth: bool = True
    managed: bool = True

    @property
    def mask(self) -> int:
        """cbmMask as bits. YAML turns unquoted digits and 0x… into numbers. Raises ValueError."""
        mask = int(self.cbm_mask, 16) if isinstance(self.cbm_mask, str) else self.cbm_mask
        # The kernel's mask has ones only. This check also finds hexadecimal digits that YAML read as decimal.
        if type(mask) is not int or not 0 < mask < 1 << 64 or mask & (mask + 1):
            raise ValueError("not a mask of ones")
        return mask

    def check(self) -> Iterator[tuple[str, str]]:
        try:
            _ = self.mask
        except ValueError:
            yield (
                "cbmMask",
                f'expected hexadecimal digits of ones only, as in the kernel\'s file, such as "7ff", got {shown(self.cbm_mask)}',
            )


class DescribedPool(Document, frozen=True, forbid_unknown_fields=True):
    """One of `sharePools` or `beSharePools`."""

    socket: NotNegative = 0
    node: NotNegative = 0
    cpuset: str = ""


class NodeDocument(Document, frozen=True, forbid_unknown_fields=True):
    """The file."""

    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    memory: Quantity = 0
    page_size: Quantity = 4096
    cpu_model: str = ""
    turbo: bool = False
    topology: RegularTopology | None = None
    cpus: tuple[DescribedCPU, ...] | None = None
    isolated_cpus: str = field(default="", name="isolatedCPUs")
    offline_cpus: str = field(default="", name="offlineCPUs")
    pods_cpus: str | None = field(default=None, name="podsCPUs")
    cgroup: Cgroup = Cgroup()
    kubelet: Kubelet = Kubelet()
    resctrl: DescribedResctrl | None = None
    share_pools: tuple[DescribedPool, ...] | None = None
    be_share_pools: tuple[DescribedPool, ...] | None = None
    block_devices: dict[str, str] | None = None

    def check(self) -> Iterator[tuple[str, str]]:
        if self.page_size < 1 or self.page_size & (self.page_size - 1):
            yield "pageSize", f"expected a power of two such as 4Ki, got {self.page_size}"
        if self.topology is not None and self.cpus is not None:
            yield "cpus", "given beside topology: keep one of them"
        seen: set[int] = set()
        for index, cpu in enumerate(self.cpus or ()):
            if cpu.cpu in seen:
                yield f"cpus[{index}].cpu", f"given twice: {cpu.cpu}"
            seen.add(cpu.cpu)
        if self.cpus == ():
            yield "cpus", "expected at least one CPU, got none"
        for path, number in (self.block_devices or {}).items():
            if not _DEVICE.fullmatch(number):
                yield f"blockDevices.{path}", f'expected major:minor such as "8:16", got {shown(number)}'
        yield from self._check_cpusets()

    def _check_cpusets(self) -> Iterator[tuple[str, str]]:
        topology = self.machine()
        online = None if topology is None else topology.online
        pools = {"sharePools": self.share_pools or (), "beSharePools": self.be_share_pools or ()}
        texts = [("kubelet.reservedCPUs", self.kubelet.reserved_cpus), ("isolatedCPUs", self.isolated_cpus)]
        texts += [("podsCPUs", self.pods_cpus or "")]
        yield from self._check_offline(online)
        texts += [(f"{key}[{i}].cpuset", pool.cpuset) for key, listed in pools.items() for i, pool in enumerate(listed)]
        for path, text in texts:
            try:
                check_cpus(text, online)
            except ValueError as error:
                yield path, str(error)

    def _check_offline(self, online: CPUSet | None) -> Iterator[tuple[str, str]]:
        try:
            offline = CPUSet.parse(self.offline_cpus)
        except ValueError as error:
            yield "offlineCPUs", str(error)
            return
        if online is not None and (both := offline & online):
            yield "offlineCPUs", f"expected none of the node's online CPUs, got {both}"

    def machine(self) -> Topology | None:
        """The CPUs; None when the file does not describe them."""
        if self.cpus:
            return Topology.of(
                [
                    CPU(
                        c.cpu,
                        c.cpu if c.core is None else c.core,
                        c.numa if c.l3 is None else c.l3,
                        c.numa,
                        c.socket,
                    )
                    for c in self.cpus
                ]
            )
        regular = self.topology
        if regular is None:
            return None
        return Topology.regular(
            regular.sockets, regular.numa_per_socket, regular.cores_per_numa, regular.threads_per_core
        )


def read_node(path: str | Path) -> NodeState:
    """The node in a file. Raises DocumentError with all mistakes, also for a file that cannot be read."""
    return load_node(read_text(path, MAX_BYTES))


def load_node(text: str) -> NodeState:
    """The node in a YAML or JSON text. An empty text describes a node of which nothing is known. Raises DocumentError."""
    try:
        value = parse(text)
    except TextError as error:
        raise DocumentError([Mistake("", str(error))]) from None
    report = Report()
    document = read(NodeDocument, {} if value is None else value, report)
    if report.mistakes:
        raise DocumentError(report.mistakes)
    return node_state(document)


def node_state(document: NodeDocument) -> NodeState:
    """The checked document as the node state that hooks read."""
    topology = document.machine()
    node = NodeState(
        name=document.name,
        labels=document.labels,
        annotations=document.annotations,
        memory_bytes=document.memory,
        page_bytes=document.page_size,
        topology=topology,
        isolated_cpus=CPUSet.parse(document.isolated_cpus),
        offline_cpus=CPUSet.parse(document.offline_cpus),
        pods_cpus=None if document.pods_cpus is None else CPUSet.parse(document.pods_cpus),
        cpu_model=document.cpu_model,
        turbo=document.turbo,
        cgroup_version=document.cgroup.version,
        cgroup_driver=document.cgroup.driver,
        kubelet_cpu_policy=document.kubelet.cpu_manager_policy,
        kubelet_reserved=CPUSet.parse(document.kubelet.reserved_cpus),
        resctrl=_resctrl(document.resctrl, topology),
        block_devices=document.block_devices,
    )
    node = read_node_annotations(document.annotations, topology).applied(node)
    if document.share_pools is not None:
        node = replace(node, ls_pools=_pools(document.share_pools))
    if document.be_share_pools is not None:
        node = replace(node, be_pools=_pools(document.be_share_pools))
    return node


def _resctrl(described: DescribedResctrl | None, topology: Topology | None) -> Resctrl | None:
    if described is None:
        return None
    caches = described.cache_ids
    if caches is None:
        caches = () if topology is None else tuple(sorted({c.l3 for c in topology.cpus}))
    groups, read_only = frozenset(described.groups), "" if described.managed else _NOT_MANAGED
    bandwidth = None
    if described.memory_bandwidth and caches:
        amd = described.vendor == "amd"
        bandwidth = MemoryBandwidth(caches, AMD_UNITS, 1, 1, AMD_FULL) if amd else MemoryBandwidth(caches)
    return Resctrl(
        described.vendor or "",
        described.mask,
        described.num_closids,
        caches,
        groups,
        bandwidth=bandwidth,
        read_only=read_only,
    )


def _pools(described: tuple[DescribedPool, ...]) -> tuple[Pool, ...]:
    return tuple(Pool(p.socket, p.node, p.cpuset.strip()) for p in described)
