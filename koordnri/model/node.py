"""The node state: immutable, replaced as a whole by one assignment, so that readers need no lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from koordnri.model.container import Event
from koordnri.model.control import NO_CONTROL, Control
from koordnri.model.cpuset import CPUSet
from koordnri.model.decision import Setting
from koordnri.model.field import Kernels
from koordnri.model.fields import ALL, CDI, INJECTED_CDI, RDT_CLOSID, UNLIMITED, Device, Field
from koordnri.model.oci_hooks import NO_OCI_HOOKS, OCIHooks
from koordnri.model.pod import Pod
from koordnri.model.routes import Refusal, Routes, container_routes, field_files, pod_routes, root_routes
from koordnri.model.schemata import Cache, MemoryBandwidth
from koordnri.model.topology import Topology
from koordnri.model.verdict import Verdict

MAINLINE_V2_FILES = frozenset(field.v2[0] for field in ALL if field.v2 and field.v2_on in (Kernels.ALL, Kernels.SOME))
"""Files of a cgroup below the root on a mainline kernel >= 5.15 with every controller on: the files of a described node."""
MAINLINE_V2_ROOT_FILES = frozenset(field.v2[0] for field in ALL if field.v2 and field.v2_on is Kernels.ROOT)
"""Files that only the root of all cgroups has, on such a kernel."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One share pool: CPUs of a NUMA node for containers without exclusive CPUs. `cpus` is the published text."""

    socket: int
    numa: int
    cpus: str


@dataclass(frozen=True, slots=True)
class Resctrl:
    """What the node's resctrl offers."""

    vendor: str
    """`intel`, `amd`, or "" when unknown"""
    cbm_mask: int
    """bits of the L3 cache ways"""
    num_closids: int
    cache_ids: tuple[int, ...]
    groups: frozenset[str]
    """existing directories; a container may only be put into one of these"""
    caches: tuple[Cache, ...] = ()
    """everything that is divided by ways; empty on a described node"""
    bandwidth: MemoryBandwidth | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    """group that is wanted and could not be made → why"""
    read_only: str = ""
    """why the daemon can neither make a group nor move a thread; "" when it can. If not, only new containers join a group, an existing
    one"""

    def why_not(self, group: str) -> str:
        """Why a group cannot be had; "" when it exists, or is made when wanted."""
        return self.refused.get(group) or ("" if group in self.groups else self.read_only)


@dataclass(frozen=True, slots=True)
class NodeState:
    """Everything that a decision may read about the node. Unknown facts are None or empty, and hooks then leave things alone."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)
    """namespace → its labels, as far as they are known; decisions depend on them only by a pod's verdicts"""
    annotations: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    """allocatable memory; 0 when unknown"""
    memory_nodes: str = ""
    """list of the NUMA nodes that have memory; "" when unknown"""
    page_bytes: int = 4096
    topology: Topology | None = None
    cpu_model: str = ""
    """`model name` of /proc/cpuinfo"""
    turbo: bool = False
    """whether the CPUs may run above their base frequency"""
    cgroup_version: int = 2
    cgroup_driver: str = "systemd"
    cgroup_files: frozenset[str] = MAINLINE_V2_FILES
    """names of the files that this kernel has in a v2 cgroup"""
    root_files: frozenset[str] = MAINLINE_V2_ROOT_FILES
    """files for the cost control of whole disks, which only the root of all cgroups has; and files of the host that we may write"""
    sched_features: frozenset[str] | None = None
    """names of this kernel's scheduler features; None when it cannot be read, as on a described node"""
    writes: frozenset[str] = frozenset()
    """what else of the host the daemon may write (`--write`): `processes`, …"""
    kubelet_cpu_policy: str = "none"
    reserved_cpus: CPUSet = field(default_factory=CPUSet)
    kubelet_reserved: CPUSet = field(default_factory=CPUSet)
    """CPUs that kubelet's configuration reserves for the system"""
    resctrl: Resctrl | None = None
    ls_pools: tuple[Pool, ...] = ()
    be_pools: tuple[Pool, ...] = ()
    pools_are_local: bool = False
    """whether this node computes the share pools, since no koord-scheduler publishes them"""
    exclusive_cpus: Mapping[str, Mapping[str, CPUSet]] = field(default_factory=dict)
    """key of the pod → container → CPUs that this node gave to it"""
    no_exclusive_cpus: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """key of the pod → LSE or LSR container that has no exclusive CPUs, or fewer than it wants → why"""
    empty_pools: tuple[str, ...] = ()
    """`LS`, `BE`: share pools that this node computes, that would be empty, and that fell back to CPUs that are taken"""
    dra_cpus: Mapping[str, Mapping[str, CPUSet]] = field(default_factory=dict)
    """key of the pod → container → CPUs that a DRA driver gave to it"""
    disputed_cpus: Mapping[str, Verdict] = field(default_factory=dict)
    """key of a pod → the verdict on what a scheduler assigned to it, if that names CPUs of another pod"""
    over_limits: Mapping[str, Verdict] = field(default_factory=dict, compare=False)
    """key of a pod → the verdict on its exclusive CPUs, if limits that are only observed would refuse them; no decision depends on it"""
    kubelet_cpus: CPUSet = field(default_factory=CPUSet)
    """CPUs that kubelet's static CPU manager pinned containers to"""
    pods_cpus: CPUSet | None = None
    """effective cpuset of the cgroup of all pods (kubepods): nothing below it runs anywhere else; None when it cannot be read"""
    isolated_cpus: CPUSet = field(default_factory=CPUSet)
    """CPUs isolated from the kernel's scheduler by its command line (`isolcpus`)"""
    offline_cpus: CPUSet = field(default_factory=CPUSet)
    """CPUs that are plugged in and offline; the topology has only the online ones"""
    cgroup_read_only: bool = False
    """whether cpusets are on a read-only mount: then no container can be moved off another one's exclusive CPUs"""
    pools_awaited: bool = False
    """whether the API server has yet to say if Koordinator publishes share pools of this node: until then nobody gets exclusive CPUs"""
    system_cpus: str = ""
    """CPUs of SYSTEM pods, from the node's annotation system-qos-resource"""
    system_exclusive: bool = True
    """whether only SYSTEM pods may run there"""
    normalization_ratio: Fraction | None = None
    """CPU normalisation: how much faster than the reference this CPU is; None when not normalised"""
    block_devices: Mapping[str, str] | None = None
    """path → `major:minor` of the whole disk; None on a described node, where every device is assumed to exist"""
    volume_groups: Mapping[str, tuple[str, ...]] | None = None
    """LVM volume group → paths of the disks below its volumes; None on a described node"""
    pod_volumes: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None
    """pod's uid → kubelet's name of a volume (the PersistentVolume's, else the volume's own) → paths of the disks below it"""
    disks_below: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`major:minor` of a block device or partition → paths of the disks below it"""
    blockio_classes: frozenset[str] | None = None
    """names of the block I/O classes in the runtime's configuration; None when it cannot be read"""
    gpu_numa_nodes: Mapping[int, int] = field(default_factory=dict)
    """minor of a GPU → its NUMA node, where that is known"""
    rdma_devices: Mapping[str, Mapping[str, Device]] | None = None
    """PCI address → path → device node of the verbs (`/dev/infiniband/uverbs0`); None on a described node"""
    rdma_cm: Device | None = None
    """`/dev/infiniband/rdma_cm`; None when the kernel has none"""
    oci_hooks: OCIHooks = NO_OCI_HOOKS
    """hooks of the OCI runtime from the host's hooks.d directories, in their order"""
    cgroup_nsdelegate: bool = True
    """whether the host has mounted cgroup v2 with `nsdelegate`, so that a container may write below its own cgroup only"""
    exposed_directory: str = "/var/lib/koordnri/exposed"
    """directory on the host with the files that show containers their exclusive CPUs"""
    no_cdi: str = ""
    """why not to send CDI devices to the runtime; "" when it injects them, as on a described node"""
    not_sent: Mapping[Field, str] = field(default_factory=dict)
    """field that the runtime would drop silently from an adjustment → why; empty on a described node"""
    no_limit_bytes: int = UNLIMITED
    """the runtime's value for no memory limit"""
    released: frozenset[str] = frozenset()
    """ids of the pods that `koordnri release` gave back to kubelet; "*": all"""
    control: Control = NO_CONTROL
    """what the feedback controllers want now"""
    problems: tuple[str, ...] = ()
    """what could not be read about the node, for logs and /readyz"""
    field_files: Mapping[Field, str] = field(init=False, repr=False, compare=False)
    """field → the cgroup file that carries it on this node, "" for none"""
    create_routes: Routes = field(init=False, repr=False, compare=False)
    update_routes: Routes = field(init=False, repr=False, compare=False)
    pod_routes: Routes = field(init=False, repr=False, compare=False)
    root_routes: Routes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "field_files", field_files(self.cgroup_version, self.cgroup_files))
        creating = container_routes(True, self.cgroup_version, self.cgroup_files)
        if self.no_cdi:
            creating = creating | dict.fromkeys((CDI, INJECTED_CDI), Refusal(self.no_cdi))
        if self.not_sent:
            creating = creating | {field: Refusal(why) for field, why in self.not_sent.items()}
        object.__setattr__(self, "create_routes", creating)
        updating = container_routes(False, self.cgroup_version, self.cgroup_files)
        if self.resctrl is not None and self.resctrl.read_only:
            updating = updating | {RDT_CLOSID: Refusal(self.resctrl.read_only)}
        object.__setattr__(self, "update_routes", updating)
        object.__setattr__(self, "pod_routes", pod_routes(self.cgroup_version, self.cgroup_files))
        object.__setattr__(self, "root_routes", root_routes(self.cgroup_version, self.root_files))

    def has_released(self, pod: Pod) -> bool:
        """Whether `koordnri release` gave this pod back to kubelet."""
        return not self.released.isdisjoint(("*", pod.id))

    def verdicts_of(self, pod: Pod) -> tuple[Verdict, ...]:
        """The verdicts of the trust rules on a pod, with those that depend on the node."""
        if not self.disputed_cpus and not self.over_limits:
            return pod.verdicts
        found = self.own_verdicts(pod)
        if (disputed := self.disputed_cpus.get(pod.key)) is not None:
            return (*(v for v in pod.verdicts if v.rule != disputed.rule), *found)
        return (*pod.verdicts, *found) if found else pod.verdicts

    def own_verdicts(self, pod: Pod) -> tuple[Verdict, ...]:
        """Those that depend on the node."""
        found = self.disputed_cpus.get(pod.key), self.over_limits.get(pod.key)
        return tuple(verdict for verdict in found if verdict is not None)

    @property
    def threads_per_core(self) -> int:
        """Threads of the first core; 1 when the topology is unknown."""
        if self.topology is None or not self.topology.cpus:
            return 1
        return sum(c.core == self.topology.cpus[0].core for c in self.topology.cpus)

    @property
    def all_cpus(self) -> CPUSet | None:
        """A cpuset that limits nothing; None when the topology is unknown. v1 refuses CPUs that the cgroup of all pods lacks; v2 accepts
        them, and uses them once that cgroup is wider.
        """
        if self.topology is None:
            return None
        online = self.topology.online
        bound = online if self.pods_cpus is None or self.cgroup_version == 2 else online & self.pods_cpus
        return bound or online

    def routes(self, event: Event) -> Routes:
        """The route of each field of a container at this event."""
        return self.create_routes if event is Event.CREATE else self.update_routes

    def unified_text(self, setting: Setting) -> str:
        """The setting as text for its cgroup v2 file."""
        if setting.field.keyed:
            return f"{self._device_number(setting.key)} {setting.value}"
        return "max" if setting.value == UNLIMITED else str(setting.value)

    def device_path(self, number: str) -> str | None:
        """Inverse of the device number in `unified_text`; None when the node has no such disk (any more)."""
        if self.block_devices is None:
            return number
        return next((path for path, known in self.block_devices.items() if known == number), None)

    def _device_number(self, path: str) -> str:
        # A described node (simulate) has no device numbers; the result then has the path.
        return path if self.block_devices is None else self.block_devices[path]
