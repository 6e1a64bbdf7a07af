"""`resource-qos-config`: CPU, memory, LLC, block I/O and network per QoS class. Source: Koordinator's ResourceQOSStrategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, field

from koordnri.policy.blkio_qos import BlkIOQOS
from koordnri.policy.memory_qos import MemoryQOS, recommended_memory_qos
from koordnri.policy.network_qos import NetworkQOS, check_requests
from koordnri.policy.reader import Document
from koordnri.policy.units import Percent, Switch

GroupIdentity = Annotated[int, Meta(ge=-1, le=2)]


class CPUQOS(Document, frozen=True):
    """Scheduling of the class. The plain defaults are Koordinator's None."""

    enable: bool = False
    """False: the class has the None values, whatever else is set."""
    group_identity: GroupIdentity = 0
    """cpu.bvt_warp_ns: 2 preempts, -1 yields (Anolis)."""
    sched_idle: Switch = 0
    """cpu.idle of the cgroups of the class's pods. beClass only: an idle cgroup has no shares, and kubelet sets those of other pods."""
    core_expeller: bool = False
    """Keeps other classes off the sibling hardware thread (core scheduling)."""


class PodCPUQOS(Document, frozen=True):
    """Value of the pod annotation `koordinator.sh/cpuQOS`, which counts only for LS pods."""

    enable: bool = False
    """False: the pod has the None value, whatever its class has."""
    group_identity: GroupIdentity | None = None
    """None: the class's value, which is 0 if the class is not enabled."""


class ResctrlQOS(Document, frozen=True):
    """Last-level cache and memory bandwidth of the class. The plain defaults limit nothing."""

    enable: bool = False
    """False: the class has all of both, whatever else is set."""
    cat_range_start_percent: Percent = 0
    """First cache way, percent of all ways."""
    cat_range_end_percent: Percent = 100
    """End of the cache ways, percent of all ways."""
    mba_percent: Percent = 100
    """Memory bandwidth, percent; 0 and 100 do not limit it. Intel rounds up to tens."""
    l2_range_start_percent: Percent = 0
    """First way of the L2 caches, percent of all ways. Ours: koordlet divides the last level only."""
    l2_range_end_percent: Percent = 100
    """End of the L2 caches' ways, percent of all ways."""

    def check(self) -> Iterator[tuple[str, str]]:
        if self.cat_range_start_percent >= self.cat_range_end_percent:
            yield (
                "catRangeStartPercent",
                f"expected less than catRangeEndPercent {self.cat_range_end_percent}, got {self.cat_range_start_percent}",
            )
        if self.l2_range_start_percent >= self.l2_range_end_percent:
            yield (
                "l2RangeStartPercent",
                f"expected less than l2RangeEndPercent {self.l2_range_end_percent}, got {self.l2_range_start_percent}",
            )


class ClassQOS(Document, frozen=True):
    """All settings of one QoS class. Each block has its own `enable`, which its users check first."""

    cpu: CPUQOS = field(default=CPUQOS(), name="cpuQOS")
    memory: MemoryQOS = field(default=MemoryQOS(), name="memoryQOS")
    blkio: BlkIOQOS = field(default=BlkIOQOS(), name="blkioQOS")
    resctrl: ResctrlQOS = field(default=ResctrlQOS(), name="resctrlQOS")
    network: NetworkQOS = field(default=NetworkQOS(), name="networkQOS")


class QOSPolicies(Document, frozen=True):
    """The mechanism behind cpuQOS and networkQOS."""

    cpu_policy: Literal["groupIdentity", "coreSched"] = "groupIdentity"
    net_qos_policy: Literal["tc", "terway-qos"] = field(default="tc", name="netQOSPolicy")


class ResourceQOS(Document, frozen=True):
    """The document. The defaults differ by class; they apply with `enable: true` alone."""

    policies: QOSPolicies = QOSPolicies()
    lsr: ClassQOS = field(
        default=ClassQOS(cpu=CPUQOS(group_identity=2, core_expeller=True), memory=recommended_memory_qos("LSR")),
        name="lsrClass",
    )
    """Also used for LSE."""
    ls: ClassQOS = field(
        default=ClassQOS(cpu=CPUQOS(group_identity=2, core_expeller=True), memory=recommended_memory_qos("LS")),
        name="lsClass",
    )
    be: ClassQOS = field(
        default=ClassQOS(
            cpu=CPUQOS(group_identity=-1),
            memory=recommended_memory_qos("BE"),
            resctrl=ResctrlQOS(cat_range_end_percent=30),
        ),
        name="beClass",
    )
    system: ClassQOS = field(default=ClassQOS(), name="systemClass")
    cgroup_root: ClassQOS = ClassQOS()
    """Only its blkio is used: latency targets and cost model of whole devices."""

    @property
    def networks(self) -> dict[str, NetworkQOS]:
        """networkQOS of the classes that share the node's bandwidth, by JSON name."""
        return {"lsrClass": self.lsr.network, "lsClass": self.ls.network, "beClass": self.be.network}

    def check(self) -> Iterator[tuple[str, str]]:
        yield from check_requests(self.networks)

    def of(self, qos: str) -> ClassQOS | None:
        """The class for a pod's QoS label (`LSE`, `LSR`, `LS`, `BE`, `SYSTEM`); None for other texts."""
        match qos:
            case "LS":
                return self.ls
            case "BE":
                return self.be
            case "LSR" | "LSE":
                return self.lsr
            case "SYSTEM":
                return self.system
        return None
