"""`koordnri-config`: our own key. Unlike in Koordinator's keys, an unknown name here is refused: there is nobody else to know it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from koordnri.policy.errors import shown
from koordnri.policy.gpu_vendors import NVIDIA, VENDORS, GPUVendor
from koordnri.policy.reader import Document
from koordnri.policy.units import CoreOrCount, CPUList, Namespace, Positive, Text

HookMode = Literal["enforce", "observe", "off"]
RecordRoute = Literal["auto", "unsolicited", "resync", "reply", "none"]
FailurePolicy = Literal["ignore", "fail"]

_CLASS_NAMES = ("lsr", "ls", "be", "system")


class HookOptions(Document, frozen=True, forbid_unknown_fields=True):
    """What every hook has."""

    mode: HookMode = "enforce"
    """observe: the hook decides, which is recorded and shown, and nothing of it is applied. off: the hook is not run. In both
    modes what it set before goes back to the baseline."""
    failure_policy: FailurePolicy = "ignore"
    """What an error of the hook costs: ignore: the hook's fields; fail: the container, which the runtime then refuses to
    create. The default is Koordinator's: a node that starts work without QoS is better than one that starts none."""


class CPUSetOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `cpuset`."""

    keep_quota: bool = False
    """Keep the CFS quota of pinned containers (koordlet's --disable-unset-cpu-quota). Default: unset, as throttling on
    exclusive CPUs helps nobody (Koordinator issue 489)."""
    allocate: bool = True
    """Give exclusive CPUs to LSE and LSR containers with a whole number of CPUs that no scheduler has assigned any. Not where
    kubelet's CPU manager is `static`: that gives them itself."""
    when_full: Literal["share", "reject"] = "share"
    """What becomes of such a container when there are not enough CPUs left: share: it runs with the others, and its pod is told;
    reject: the runtime is told to refuse it."""
    promote: bool = True
    """Give exclusive CPUs to a container that runs and had to share, as soon as there are some; its former CPUs are the others' then."""
    min_shared_cpus: CoreOrCount = field(default="core", name="minSharedCPUs")
    """How many CPUs no container gets for itself, so that the others keep some. core: as many as a core has threads. 0: none."""
    isolated_cpus: Literal["leave", "own", "share"] = field(default="leave", name="isolatedCPUs")
    """CPUs that the kernel's command line isolates (`isolcpus`). leave: nobody gets them from us. own: they go to containers with
    exclusive CPUs only. share: they are like all others."""
    memory_bind: bool = False
    """Take memory only from the NUMA nodes of the container's exclusive CPUs. Off, because moving memory of what runs is slow."""
    be_cpu_manager: bool = field(default=False, name="beCPUManager")
    """Give BE containers the BE pool of their NUMA nodes (koordlet's feature gate BECPUManager, off there too)."""


class MemoryOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `memory`."""

    shrink_below_usage: bool = False
    """Lower a memory limit or memory.high of what runs at once, even below what is in use: memory.max then kills, memory.high holds
    the tasks up. Default: wait until less is in use, and say so."""


class BlkIOOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `blkio`."""

    class_names: dict[str, Text] = field(default_factory=dict, name="className")
    """lsr, ls, be, system: the runtime's block I/O class. Default none: a class that the runtime does not know fails the container."""

    def check(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self.class_names.keys() - set(_CLASS_NAMES)):
            yield f"className.{name}", f"expected a class {', '.join(_CLASS_NAMES)}, got {shown(name)}"


class GPUOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `gpu`; the paths are koordlet's and exist on nodes where HAMi-core is installed."""

    identify: Literal["minor", "uuid"] = "minor"
    """How devices are named where the vendor takes both: uuid is the annotation's `id`. Minors are koordlet's way; they are right
    only where the vendor's runtime counts as the scheduler does."""
    inject: Literal["env", "cdi"] = "env"
    """cdi: devices go into the container by the Container Device Interface, where the vendor and the runtime have it; else by env, with
    a reason. Who takes this must have the vendor's CDI specification on the node: the runtime refuses containers with unknown devices."""
    require_request: Literal["never", "devices", "always"] = "devices"
    """For what the pod's spec must request koordinator.sh/gpu, koordinator.sh/rdma or a resource of the vendor, as known from the API
    server: the annotation alone may be its owner's own work. devices: for device nodes (RDMA, CDI), which nobody can give himself; env
    grants nothing that the pod could not have set. always: for env, too. never: the annotation is trusted, as koordlet does."""
    vendor: Text | None = None
    """Overrides the node's label node.koordinator.sh/gpu-vendor, which is known only through the API server; where neither says, nvidia."""
    vendors: dict[str, GPUVendor] = field(default_factory=dict)
    """By vendor; an entry replaces the built-in one as a whole. Built in: nvidia, amd, huawei, cambricon, metax, habana, intel."""
    hami_library_path: Text = "/usr/local/vgpu/libvgpu.so"
    """Preloaded into containers that share a GPU."""
    hami_lock_path: Text = "/tmp/vgpulock"  # noqa: S108  # HAMi-core's fixed lock directory, not a temporary file of ours
    """Bind-mounted beside it; its processes on one node must share it."""
    hami_cache_directory: Text | None = None
    """Host directory of CUDA_DEVICE_MEMORY_SHARED_CACHE for HAMi's monitor (koordlet's gate HamiCoreVGPUMonitor); default off."""

    def vendor_on(self, label: str | None) -> tuple[str, GPUVendor | None]:
        """The vendor's name and how its devices are given, by the node's label; None when nobody has told that."""
        name = (self.vendor or label or NVIDIA).lower()
        return name, self.vendors.get(name) or VENDORS.get(name)


class RDTOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `rdt`."""

    memory_bandwidth_mbps: Positive | None = field(default=None, name="memoryBandwidthMBps")
    """What the memory of one L3 domain gives, MB/s. Percentages are taken of it where resctrl is mounted with mba_MBps, which without
    it limits nothing, and on AMD, where None is koordlet's 20 GB/s."""


class OtherHookOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of a third party's hook."""

    options: dict[str, Any] = field(default_factory=dict)
    """Handed to the hook as they are."""


class Hooks(Document, frozen=True):
    """Hook name to options. Koordnri's own hooks have typed options beside mode and failurePolicy."""

    others_field: ClassVar[str] = "others"

    cpuset: CPUSetOptions = CPUSetOptions()
    cfs_quota: HookOptions = field(default=HookOptions(), name="cfs_quota")
    memory: MemoryOptions = MemoryOptions()
    rdt: RDTOptions = RDTOptions()
    blkio: BlkIOOptions = BlkIOOptions()
    gpu: GPUOptions = GPUOptions()
    others: dict[str, OtherHookOptions] = field(default_factory=dict)
    """Hooks of third parties by name."""


class KoordnriConfig(Document, frozen=True, forbid_unknown_fields=True):
    """The document."""

    hooks: Hooks = Hooks()
    chain_budget_milliseconds: Annotated[int, Meta(ge=1, le=60000)] | None = None
    """Time for all hooks of one event. Default: a quarter of the runtime's request timeout, which is told at Configure."""
    namespaces_left_alone: tuple[Namespace, ...] = ()
    """Their pods get nothing from any hook, and what was set goes back to the baseline. A node's list replaces the cluster's."""
    reserved_cpus: CPUList | None = field(default=None, name="reservedCPUs")
    """CPUs that no share pool contains and no batch work runs on, as `0-1`: kubelet's reservedSystemCPUs. They are taken out of
    the pools that Koordinator publishes; SYSTEM pods and CPUs that the scheduler assigned to a pod are not touched."""
    record_route: RecordRoute | None = None
    """How the runtime's stored spec is made to agree with what was written, where no command line says it; None: auto.
    auto: by the runtime's NRI version. unsolicited: UpdateContainers, which freezes nodes below NRI 0.12.1. resync: a short second
    registration, behind which creations wait from NRI 0.7 on. reply: in replies to events only. none: written and swept only."""
