"""`koordnri-config.trust`: which inputs of a pod are believed, and of whom."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from koordnri.policy.reader import Document
from koordnri.policy.scalars import TextForm
from koordnri.policy.units import Namespace, NotNegative, Text

TrustMode = Literal["enforce", "observe", "off"]

SERVICE_ACCOUNT = TextForm(
    "a service account as NAMESPACE/NAME",
    "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
)
ServiceAccount = Annotated[str, SERVICE_ACCOUNT]


class Believed(Document, frozen=True, forbid_unknown_fields=True):
    """Pods of which an input is believed: those that one of the lists names. Static pods are always believed, since root of the node wrote
    them."""

    schedulers: tuple[Text, ...] = ()
    """Values of the pod's `schedulerName`."""
    namespaces: tuple[Namespace, ...] = ()
    """Names of namespaces."""
    service_accounts: tuple[ServiceAccount, ...] = ()
    """Service accounts that pods run as: NAMESPACE/NAME."""


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
    """Names of namespaces. None: all."""
    max_per_namespace: NotNegative | None = None
    """Most exclusive CPUs that the pods of one namespace have on a node together. None: no limit."""
    max_exclusive: NotNegative | None = None
    """Most exclusive CPUs of a node. None: all but `hooks.cpuset.minSharedCPUs`, which stay shared in any case."""


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

    @property
    def limits_of_cpus(self) -> ExclusiveTrust:
        """The limits of exclusive CPUs, none unless these rules are enforced."""
        return self.exclusive_cpus if self.mode == "enforce" else NO_LIMITS


NO_LIMITS = ExclusiveTrust()
