"""`koordnri-config.trust`: which inputs of a pod are believed, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import field, structs

from koordnri.policy.reader import Document
from koordnri.policy.scalars import TextForm
from koordnri.policy.selector import NamespaceSelector
from koordnri.policy.units import Namespace, NotNegative, Text

TrustMode = Literal["enforce", "observe", "off"]

SERVICE_ACCOUNT = TextForm(
    "a service account as NAMESPACE/NAME",
    "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
)
ServiceAccount = Annotated[str, SERVICE_ACCOUNT]


def check_selector(selector: NamespaceSelector | None) -> Iterator[tuple[str, str]]:
    """A selector without requirements is a mistake: it would mean everybody."""
    if selector is not None and selector.empty:
        yield "namespaceSelector", "expected matchLabels or matchExpressions, got neither"


class Believed(Document, frozen=True, forbid_unknown_fields=True):
    """Pods of which an input is believed: those that one of the lists names. Static pods are always believed, since root of the node wrote
    them."""

    schedulers: tuple[Text, ...] = ()
    """Values of the pod's `schedulerName`."""
    namespaces: tuple[Namespace, ...] = ()
    """Names of namespaces."""
    namespace_selector: NamespaceSelector | None = None
    """Namespaces by their labels. koordnri watches Namespaces where a rule has this, and needs the right to. A namespace whose labels are
    not known does not match."""
    service_accounts: tuple[ServiceAccount, ...] = ()
    """Service accounts that pods run as: NAMESPACE/NAME."""

    def check(self) -> Iterator[tuple[str, str]]:
        yield from check_selector(self.namespace_selector)


class ResourceStatusTrust(Believed, frozen=True, forbid_unknown_fields=True):
    """Who may assign CPUs by the annotation `scheduling.koordinator.sh/resource-status`. Nobody gets more CPUs by it than the pod
    requests."""

    schedulers: tuple[Text, ...] = ("koord-scheduler",)
    """Values of the pod's `schedulerName`."""


class NodeTrust(Believed, frozen=True, forbid_unknown_fields=True):
    """Who may have what concerns the whole node."""

    namespaces: tuple[Namespace, ...] = ("kube-system", "koordnri-system")
    """Names of namespaces."""


class ExclusiveTrust(Document, frozen=True, forbid_unknown_fields=True):
    """Who may have exclusive CPUs of a node by the labels LSE and LSR, and how many. Containers keep those that they have when a limit is
    lowered. CPUs that a scheduler assigned do not count."""

    namespaces: tuple[Namespace, ...] | None = None
    """Names of namespaces. None: all, unless namespaceSelector is given."""
    namespace_selector: NamespaceSelector | None = None
    """Further namespaces, by their labels."""
    max_per_namespace: NotNegative | None = None
    """Most exclusive CPUs that the pods of one namespace have on a node together. None: no limit."""
    max_exclusive: NotNegative | None = None
    """Most exclusive CPUs of a node. None: all but `hooks.cpuset.minSharedCPUs`, which stay shared in any case."""

    def check(self) -> Iterator[tuple[str, str]]:
        yield from check_selector(self.namespace_selector)

    @property
    def who(self) -> Believed | None:
        """Whose pods may have any; None: everybody's."""
        if self.namespaces is None and self.namespace_selector is None:
            return None
        return Believed(namespaces=self.namespaces or (), namespace_selector=self.namespace_selector)


class InjectionTrust(Document, frozen=True, forbid_unknown_fields=True):
    """Who may have what put into their containers by the annotations of NRI's sample plugins. A kind for which nobody is listed is off: its
    annotations are not read at all. `mode` has no effect here: who is not listed gets nothing by observe and off, either. Nor has
    `withoutSpec`: a pod whose spec is not known has what `namespaces` gives it, and nothing else."""

    devices: Believed = Believed()
    """Device nodes, `devices.noderesource.dev`."""
    cdi_devices: Believed = Believed()
    """Devices of the Container Device Interface, `cdi-devices.noderesource.dev`."""
    mounts: Believed = Believed()
    """Mounts, also of directories of the host, `mounts.noderesource.dev`."""
    ulimits: Believed = Believed()
    """Resource limits of processes, `ulimits.noderesource.dev`."""
    io_priority: Believed = Believed()
    """I/O priority of processes, `io-priority.noderesource.dev`."""
    scheduling_policy: Believed = Believed()
    """Scheduling policy of processes, real-time policies too, `scheduling-policy.noderesource.dev`."""
    sysctl: Believed = Believed()
    """Kernel parameters of the container's namespaces, `sysctl.noderesource.dev`."""
    memory_policy: Believed = Believed()
    """NUMA policy of the container's memory, `memory-policy.noderesource.dev`."""
    network_devices: Believed = Believed()
    """Network devices, moved from the host into the container, `network-devices.noderesource.dev`."""
    rdt: Believed = Believed()
    """Cache and memory bandwidth through the runtime: `closid`, `schemata` and `enablemonitoring.rdt.noderesource.dev`."""
    writable_cgroups: Believed = Believed()
    """A writable /sys/fs/cgroup, `writable-cgroups.noderesource.dev`."""
    oci_hooks: Believed = Believed()
    """Hooks of the OCI runtime, by files of the host in /usr/share/containers/oci/hooks.d and /etc/containers/oci/hooks.d."""
    environment: Believed = Believed()
    """Environment variables, `environment.koordnri.sh`."""
    annotations: Believed = Believed()
    """Annotations of the container, which other plugins and the runtime may obey, `annotations.koordnri.sh`."""

    def listed(self) -> dict[str, Believed]:
        """Kind (its key here) → whom it is believed of, for the kinds that are on."""
        return {name: who for name, attribute in _KINDS.items() if (who := getattr(self, attribute)) != _NOBODY}


_NOBODY = Believed()
_KINDS = {info.encode_name: info.name for info in structs.fields(InjectionTrust)}


class TrustOptions(Document, frozen=True, forbid_unknown_fields=True):
    """What is believed of the annotations and labels of a pod, which whoever creates the pod can write."""

    mode: TrustMode = "enforce"
    """observe: all is believed; what would be refused is logged, counted, and shown by `explain`. off: all is believed."""
    without_spec: Literal["refuse", "believe"] = "refuse"
    """For pods whose spec is not known, so that neither scheduler nor requests are. refuse: until it is known, nothing is believed that
    needs it. believe: for clusters that run Koordinator and give koordnri no access to the API server."""
    resource_status: ResourceStatusTrust = ResourceStatusTrust()
    """CPUs that a scheduler assigned."""
    extended_resource_spec: Believed = Believed()
    """Batch resources of BE pods by the annotation `node.koordinator.sh/extended-resource-spec` alone, above what the pod's spec says
    otherwise. Of other pods the annotation only narrows: a request counts up to the spec's, and a limit up to the spec's, if it has one."""
    exclusive_cpus: ExclusiveTrust = field(default=ExclusiveTrust(), name="exclusiveCPUs")
    """Exclusive CPUs that nodes choose for LSE and LSR containers."""
    dra_drivers: tuple[Text, ...] = ("dra.cpu",)
    """DRA drivers that give CPUs to containers by the environment `DRA_CPUSET_*`. It is believed of pods whose ResourceClaims have devices
    of these drivers, of no more CPUs than those devices stand for. koordnri reads the claims from the API server."""
    system_class: NodeTrust = NodeTrust()
    """The label `koordinator.sh/qosClass: SYSTEM`. Other pods with it have the class of pods without the label."""
    resctrl: NodeTrust = NodeTrust()
    """A resctrl group of the pod's own, by the annotation `node.koordinator.sh/resctrl`. Other pods are in the group of their class."""
    gpu: NodeTrust = NodeTrust()
    """GPUs without a request, where `hooks.gpu.denyWithoutRequest` takes them from all others."""
    io_latency: NodeTrust = NodeTrust()
    """`ioLatencyTarget` in the annotation `koordinator.sh/blkioQOS`, for which the kernel slows other pods down. The other values there
    only narrow what the pod gets; they are believed of every pod."""

    cpu_quota: Believed = Believed()
    """No CFS quota, by the annotation `koordnri.sh/cpu-quota: none`; nobody by default. Whole classes: `hooks.cfs_quota.liftFor`."""
    injection: InjectionTrust = InjectionTrust()
    """Devices, mounts and other things by the annotations of NRI's sample plugins."""

    @property
    def needs_namespace_labels(self) -> bool:
        """Whether a rule selects namespaces by labels."""
        rules: tuple[Believed | ExclusiveTrust, ...] = (
            self.resource_status,
            self.extended_resource_spec,
            self.exclusive_cpus,
            self.system_class,
            self.resctrl,
            self.gpu,
            self.io_latency,
            self.cpu_quota,
            *self.injection.listed().values(),
        )
        return any(rule.namespace_selector is not None for rule in rules)

    oom_score: Believed = Believed()
    """An oom_score_adj by the annotations `koordinator.sh/oom-score-adj` and `koordinator.sh/oom-score-adj-spec`; nobody by default. A low
    one lets the kernel kill other pods first."""

    @property
    def limits_of_cpus(self) -> ExclusiveTrust:
        """The limits of exclusive CPUs, none unless these rules are enforced."""
        return self.exclusive_cpus if self.mode == "enforce" else NO_LIMITS

    @property
    def observed_limits(self) -> ExclusiveTrust:
        """Those limits where they are only observed, else none."""
        return self.exclusive_cpus if self.mode == "observe" else NO_LIMITS


NO_LIMITS = ExclusiveTrust()
