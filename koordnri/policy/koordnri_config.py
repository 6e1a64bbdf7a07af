"""`koordnri-config`: our own key. Unlike in Koordinator's keys, unknown names are refused, since no other program could know them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from koordnri.policy.controllers import Controllers
from koordnri.policy.errors import shown
from koordnri.policy.gpu_vendors import NVIDIA, VENDORS, GPUVendor
from koordnri.policy.reader import Document
from koordnri.policy.trust_options import TrustOptions
from koordnri.policy.units import CoreOrCount, CPUList, Namespace, Positive, Text

HookMode = Literal["enforce", "observe", "off"]
RecordRoute = Literal["auto", "unsolicited", "resync", "reply", "none"]
PublishTopology = Literal["none", "zones", "koordinator"]
FailurePolicy = Literal["ignore", "fail"]
OOMScore = Annotated[int, Meta(ge=-1000, le=1000)]
LiftedClass = Literal["LSE", "LSR", "LS", "BE", "SYSTEM", "Guaranteed", "Burstable"]

_CLASS_NAMES = ("lsr", "ls", "be", "system")


class HookOptions(Document, frozen=True, forbid_unknown_fields=True):
    """Options of every hook."""

    mode: HookMode = "enforce"
    """observe: the hook decides, and the result is logged and counted but not applied. off: the hook is not run. In both modes, what it set
    before is given back."""
    failure_policy: FailurePolicy = "ignore"
    """What an error of the hook costs. ignore: the hook's fields; fail: the container, which the runtime refuses to create. With fail, a
    runtime of NRI 0.12.4 or newer also refuses containers while koordnri does not answer at all; an older one creates them without it. The
    default is Koordinator's: a node that starts work without QoS is better than one that starts none."""


class CPUSetOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `cpuset`."""

    keep_quota: bool = False
    """Keep the CFS quota of pinned containers (koordlet's --disable-unset-cpu-quota). By default it is lifted: throttling a container on
    CPUs that nobody else uses helps nobody (Koordinator issue 489)."""
    allocate: bool = True
    """Give exclusive CPUs to LSE and LSR containers with a whole number of CPUs, unless a scheduler has assigned some. Not done where
    kubelet's CPU manager is `static`, which pins containers itself."""
    when_full: Literal["share", "reject"] = "share"
    """What happens to such a container if too few CPUs are free. share: it runs in the share pool, and its pod gets an Event; reject: the
    runtime refuses to create it."""
    promote: bool = True
    """Give exclusive CPUs to a running container that lacked them, as soon as enough are free; it leaves the share pool then."""
    min_shared_cpus: CoreOrCount = field(default="core", name="minSharedCPUs")
    """CPUs that are never exclusive, so that a share pool remains. core: as many as a core has threads. 0: none."""
    isolated_cpus: Literal["leave", "own", "share"] = field(default="leave", name="isolatedCPUs")
    """CPUs isolated by the kernel's command line (`isolcpus`). leave: koordnri gives them to nobody. own: only as exclusive CPUs. share:
    like all others."""
    memory_bind: bool = False
    """Take memory only from the NUMA nodes of the container's exclusive CPUs. Off by default: moving memory in use is slow."""
    keep_interrupts_off: bool = False
    """Let no device interrupt be served by exclusive CPUs, also those that a scheduler assigned. It takes `--write interrupts`. irqbalance
    moves them back every 10 s: ban these CPUs there, or stop it."""
    expose: Literal["none", "env", "file"] = "none"
    """How a container learns which CPUs are exclusively its own. env: the variable KOORDNRI_EXCLUSIVE_CPUS, as they are at its creation.
    file: /run/koordnri/exclusive-cpus, which follows changes; the state directory must have one path on the host and for the daemon."""
    be_cpu_manager: bool = field(default=False, name="beCPUManager")
    """Give BE containers the BE pool of their NUMA nodes (koordlet's feature gate BECPUManager, off there too)."""


class CFSQuotaOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `cfs_quota`."""

    lift_for: tuple[LiftedClass, ...] = ()
    """Classes whose pods run without a CFS quota, so that they may use idle CPUs; their shares still bound them. Kubernetes' classes count
    for pods without Koordinator's label. Single pods: the trust rule `cpuQuota`."""


class MemoryOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `memory`."""

    shrink_below_usage: bool = False
    """Lower a memory limit or memory.high of a running container at once, even below its usage: memory.max then kills, memory.high
    throttles. By default koordnri waits until usage is lower, and reports that."""
    oom_score_adj: dict[str, OOMScore] = field(default_factory=dict)
    """lsr, ls, be, system → oom_score_adj of the processes of the class's containers, in place of kubelet's. The kernel kills the process
    with the highest sum of it and of its share of the memory, in ‰. Running containers follow with `--write processes`. Single pods: the
    trust rule `oomScore`."""

    def check(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self.oom_score_adj.keys() - set(_CLASS_NAMES)):
            yield f"oomScoreAdj.{name}", f"expected a class {', '.join(_CLASS_NAMES)}, got {shown(name)}"


class BlkIOOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `blkio`."""

    class_names: dict[str, Text] = field(default_factory=dict, name="className")
    """lsr, ls, be, system → the runtime's block I/O class. Default none: a class that the runtime does not know fails the container."""

    def check(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self.class_names.keys() - set(_CLASS_NAMES)):
            yield f"className.{name}", f"expected a class {', '.join(_CLASS_NAMES)}, got {shown(name)}"


class GPUOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `gpu`; the paths are koordlet's and exist on nodes where HAMi-core is installed."""

    identify: Literal["minor", "uuid"] = "minor"
    """How devices are named if the vendor accepts both. uuid: the annotation's `id`. Minors are koordlet's way; they are correct only if
    the vendor's runtime counts as the scheduler does."""
    inject: Literal["env", "cdi"] = "env"
    """cdi: use the Container Device Interface if vendor and runtime support it, otherwise env, with a reason. The node must have the
    vendor's CDI specification: the runtime refuses containers with unknown devices."""
    require_request: Literal["never", "devices", "always"] = "devices"
    """Whether the pod's spec must request koordinator.sh/gpu, koordinator.sh/rdma or a resource of the vendor (known from the API server),
    because anybody can write the annotation. devices: for device nodes (RDMA, CDI), which a pod cannot give itself; env grants nothing
    that the pod could not set. always: for env, too. never: trust the annotation, as koordlet does."""
    deny_without_request: bool = False
    """Set the vendor's variable so that no GPU is seen (NVIDIA_VISIBLE_DEVICES=void) in containers of pods whose spec requests none,
    whatever their environment, image or annotation says. Namespaces of `trust.gpu` are left out: device plugins and monitors see all."""
    vendor: Text | None = None
    """Overrides the node's label node.koordinator.sh/gpu-vendor, which needs the API server. Without both: nvidia."""
    vendors: dict[str, GPUVendor] = field(default_factory=dict)
    """Vendor → entry, which replaces the built-in one as a whole. Built in: nvidia, amd, huawei, cambricon, metax, habana, intel."""
    hami_library_path: Text = "/usr/local/vgpu/libvgpu.so"
    """Preloaded into containers that share a GPU."""
    hami_lock_path: Text = "/tmp/vgpulock"  # noqa: S108  # HAMi-core's fixed lock directory, not a temporary file of ours
    """Bind-mounted beside it; its processes on one node must share it."""
    hami_cache_directory: Text | None = None
    """Host directory for CUDA_DEVICE_MEMORY_SHARED_CACHE, for HAMi's monitor (koordlet's gate HamiCoreVGPUMonitor); off by default."""

    def vendor_on(self, label: str | None) -> tuple[str, GPUVendor | None]:
        """The vendor's name by policy or node label, and its entry; None when there is no entry of that name."""
        name = (self.vendor or label or NVIDIA).lower()
        return name, self.vendors.get(name) or VENDORS.get(name)


class RDTOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the hook `rdt`."""

    memory_bandwidth_mbps: Positive | None = field(default=None, name="memoryBandwidthMBps")
    """Memory bandwidth of one L3 domain, MB/s. Percentages refer to it on AMD (None: koordlet's 20 GB/s), and where resctrl is mounted with
    mba_MBps (None: no limits)."""


class OtherHookOptions(HookOptions, frozen=True, forbid_unknown_fields=True):
    """Options of a third party's hook."""

    options: dict[str, Any] = field(default_factory=dict)
    """Passed to the hook unchanged."""


class Hooks(Document, frozen=True):
    """Hook name → options. koordnri's own hooks have typed options beside mode and failurePolicy."""

    others_field: ClassVar[str] = "others"

    cpuset: CPUSetOptions = CPUSetOptions()
    cfs_quota: CFSQuotaOptions = field(default=CFSQuotaOptions(), name="cfs_quota")
    memory: MemoryOptions = MemoryOptions()
    rdt: RDTOptions = RDTOptions()
    blkio: BlkIOOptions = BlkIOOptions()
    gpu: GPUOptions = GPUOptions()
    network: HookOptions = HookOptions()
    injection: HookOptions = HookOptions()
    """It decides nothing unless `trust.injection` lists somebody."""
    others: dict[str, OtherHookOptions] = field(default_factory=dict)
    """Hooks of third parties by name."""


class KoordnriConfig(Document, frozen=True, forbid_unknown_fields=True):
    """The document."""

    hooks: Hooks = Hooks()
    controllers: Controllers = Controllers()
    """Which feedback controllers run."""
    trust: TrustOptions = TrustOptions()
    """Which annotations of pods are believed, and of whom."""
    chain_budget_milliseconds: Annotated[int, Meta(ge=1, le=60000)] | None = None
    """Time for all hooks of one event. Default: a quarter of the runtime's request timeout."""
    namespaces_left_alone: tuple[Namespace, ...] = ()
    """No hook decides anything for their pods, and what was set is given back. A node's list replaces the cluster's."""
    reserved_cpus: CPUList | None = field(default=None, name="reservedCPUs")
    """CPUs in no share pool and without batch work, such as `0-1`: kubelet's reservedSystemCPUs. They are also removed from pools that
    Koordinator publishes. SYSTEM pods and CPUs that the scheduler assigned are not affected."""
    record_route: RecordRoute | None = None
    """How the runtime's stored spec follows written values; the command line takes precedence; None: auto. auto: by the runtime's NRI
    version. unsolicited: UpdateContainers, which may freeze nodes before NRI 0.12.1. resync: a short second registration; creations wait
    behind it from NRI 0.7 on. reply: only with replies to events. none: values are written and watched only."""
    publish_topology: PublishTopology = "none"
    """What is published of this node as a NodeResourceTopology, which takes further rights. zones: each NUMA node with the CPUs that are
    left for exclusive use, as scheduler-plugins reads it. koordinator: what koord-scheduler needs to assign CPUs on a node without
    koordlet; then koordnri chooses none itself."""
