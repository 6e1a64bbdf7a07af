"""A pod as the runtime reports it, with its spec if the API server can be reached."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from koordnri.model.qos import DEFAULT_CLASS, KubeQoS, QoSClass
from koordnri.model.resources import NOTHING, Resources
from koordnri.model.verdict import Verdict

PAUSE_HANDLERS = frozenset({"", "runc", "crun", "youki", "nvidia"})
"""Runtime handlers under which the sandbox is a process that only waits. Under kata it is the virtual machine, under gVisor the kernel,
with all containers in it; under others it is unknown."""

SOURCE_KEY = "kubernetes.io/config.source"
"""Annotation by kubelet: where it has the pod from: `api`, `file` or `http`."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Requests and limits of one container of the pod's spec: resource name → quantity text (`cpu` → `500m`)."""

    requests: Mapping[str, str | int | float]
    limits: Mapping[str, str | int | float]
    init: bool = False
    """an init container that ends before the others start; not a sidecar"""
    sidecar: bool = False
    """an init container that keeps running beside the others (`restartPolicy: Always`)"""
    claimed: Mapping[str, str] = field(default_factory=dict)
    """path in the container → the pod's volume behind a claim, block devices included"""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What the API server knows about a pod and NRI does not send. None in Pod without the API server."""

    containers: Mapping[str, ContainerSpec]
    resource_claims: bool = False
    """whether it has any claim, of its own or made for an extended resource: without one, no DRA driver gives it anything"""
    requests: Mapping[str, str | int | float] = field(default_factory=dict)
    """pod-level resources (`spec.resources`, KEP-2837); empty without"""
    limits: Mapping[str, str | int | float] = field(default_factory=dict)
    """likewise"""
    overhead: Mapping[str, str | int | float] = field(default_factory=dict)
    """of its RuntimeClass, as admission set it in the spec"""
    scheduler_name: str = ""
    service_account: str = ""
    """its name in the pod's namespace"""
    priority: int | None = None
    """as admission computed it"""
    leaving: bool = False
    """somebody has deleted the pod, and kubelet ends it"""
    claimed_cpus: Mapping[str, int] | None = None
    """DRA driver → how many CPUs its devices in the pod's claims stand for; None: not read (yet)"""
    claims_problem: str = ""
    """why its claims cannot be read; "" when they can, or nobody has tried"""
    of_daemon_set: bool = False
    """whether a DaemonSet makes it again on this node as soon as it is gone"""


@dataclass(slots=True)
class Pod:
    """One pod sandbox. Built once and kept, so that its annotations are parsed only once (`parsed`)."""

    id: str
    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    runtime_handler: str = ""
    resources: Resources = NOTHING
    """of the whole pod, as kubelet set them on the pod's cgroup"""
    spec: PodSpec | None = None
    reported: Mapping[str, str] = field(default_factory=dict)
    """annotations from the runtime, which are those at the pod's creation; `annotations` may be newer"""
    qos: QoSClass = QoSClass.NONE
    kube_qos: KubeQoS = KubeQoS.GUARANTEED
    qos_or_default: QoSClass = QoSClass.NONE
    """the label's class, else Kubernetes' class mapped to LSR, LS or BE; used by memory QoS and resctrl"""
    key: str = ""
    """identity that outlives a sandbox: the uid (kubelet may make a second sandbox); without one the sandbox's id"""
    parsed: dict[str, Any] = field(default_factory=dict)
    """annotation key → parsed value, or its Problem (see koordnri.model.annotations)"""
    given: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """container → path in it → kubelet's directory of a volume, or `major:minor` of a block device, from the runtime"""
    verdicts: tuple[Verdict, ...] = ()
    """which of its inputs the policy's trust rules believe, and which not; the latter are missing here"""
    raw: Pod | None = None
    """the pod with all its inputs; None: nothing was taken from it"""
    judged_by: object = field(default=None, compare=False)
    """the trust rules that gave the verdicts; None: nobody has judged it yet"""
    namespace_labels: Mapping[str, str] | None = field(default=None, compare=False)
    """labels of its namespace when it was judged; None: not known, or no trust rule needs them"""

    def __post_init__(self) -> None:
        self.key = self.uid or self.id
        self.reported = self.reported or self.annotations
        self.qos = QoSClass.of(self.labels)
        self.kube_qos = KubeQoS.of_cgroup(self.cgroup_parent)
        self.qos_or_default = self.qos if self.qos is not QoSClass.NONE else DEFAULT_CLASS[self.kube_qos]

    def places_of(self, volume: str) -> frozenset[str] | None:
        """Places of a volume behind a claim, known from created containers: directory or number, see `given`. One place, unless it
        has moved. None: no container of the spec (if known) has such a volume.
        """
        paths = [
            (name, path)
            for name, container in (self.spec.containers if self.spec else {}).items()
            for path, its in container.claimed.items()
            if its == volume
        ]
        if not paths:
            return None
        nothing: Mapping[str, str] = {}
        return frozenset(
            place for name, path in paths if (place := self.given.get(name, nothing).get(path)) is not None
        )

    @property
    def is_static(self) -> bool:
        """Whether kubelet read it from a file or URL of the node's configuration: kubelet itself writes this annotation for the runtime."""
        return self.reported.get(SOURCE_KEY) in ("file", "http")

    def verdict(self, rule: str) -> Verdict | None:
        """What a trust rule says of the pod; None when it has nothing that the rule is about."""
        return next((v for v in self.verdicts if v.rule == rule), None)

    def refusal(self, rule: str) -> str:
        """What a trust rule says of an input that it refuses; "" when it refuses nothing."""
        verdict = self.verdict(rule) if self.verdicts else None
        return "" if verdict is None or verdict.counts else str(verdict)

    def with_resources(self, resources: Resources) -> Pod:
        """The same pod with this baseline; itself if it has it. Parsed annotations are shared."""
        if resources == self.resources:
            return self
        # Not dataclasses.replace, which would compute the classes again, for every pod at every pass.
        pod = copy(self)
        pod.resources = resources
        return pod


def path_inside(path: str) -> str:
    """A path in a container in one form: a spec may have `/data/` or `data` where the runtime has `/data`."""
    return posixpath.normpath("/" + path.lstrip("/"))
