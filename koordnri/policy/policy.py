"""The policy of one node, which hooks read. Plain attributes only, since it is read on the event path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from koordnri.model.cpuset import CPUSet
from koordnri.model.pod import Pod
from koordnri.policy.blkio_qos import PodBlkIOQOS
from koordnri.policy.burst import CPUBurst, merge_cpu_burst
from koordnri.policy.controllers import Controllers
from koordnri.policy.document import SHAPES, PolicyDocument
from koordnri.policy.host_application import HostApplication
from koordnri.policy.koordnri_config import (
    BlkIOOptions,
    CFSQuotaOptions,
    CPUSetOptions,
    FailurePolicy,
    GPUOptions,
    HookMode,
    HookOptions,
    Hooks,
    MemoryOptions,
    OtherHookOptions,
    PublishTopology,
    RDTOptions,
    RecordRoute,
)
from koordnri.policy.memory_qos import NONE_MEMORY_QOS, MemoryQOS, merge_memory_qos, recommended_memory_qos
from koordnri.policy.network_qos import PodNetworkQOS, check_bandwidth
from koordnri.policy.normalization import CPUNormalization
from koordnri.policy.pod_overrides import BLKIO_QOS, CPU_BURST, CPU_QOS, MEMORY_QOS, NETWORK_QOS
from koordnri.policy.qos import PodCPUQOS, ResourceQOS
from koordnri.policy.section import Section
from koordnri.policy.system import SystemStrategy
from koordnri.policy.threshold import ResourceThreshold
from koordnri.policy.trust_options import TrustOptions

_HOSTNAME = "kubernetes.io/hostname"
_MOST_SHOWN = 5
_DEFAULT_OPTIONS = OtherHookOptions()


class Policy(msgspec.Struct, frozen=True):
    """Immutable; a new document makes a new one. Do not change mappings in it."""

    revision: str = "default"
    """PolicyDocument.revision; "default" when there is no document."""
    source: str = ""
    """PolicyDocument.source."""
    qos: ResourceQOS = ResourceQOS()
    threshold: ResourceThreshold = ResourceThreshold()
    burst: CPUBurst = CPUBurst()
    system: SystemStrategy = SystemStrategy()
    normalization: CPUNormalization = CPUNormalization()
    host_applications: tuple[HostApplication, ...] = ()
    cpuset: CPUSetOptions = CPUSetOptions()
    """Options of the hook cpuset; likewise cfs_quota, memory, rdt, blkio and gpu."""
    cfs_quota: CFSQuotaOptions = CFSQuotaOptions()
    memory: MemoryOptions = MemoryOptions()
    rdt: RDTOptions = RDTOptions()
    blkio: BlkIOOptions = BlkIOOptions()
    gpu: GPUOptions = GPUOptions()
    hooks: dict[str, HookOptions] = msgspec.field(default_factory=dict)
    """Options by hook name, of koordnri's and others' hooks."""
    controllers: Controllers = Controllers()
    """Which feedback controllers run."""
    trust: TrustOptions = TrustOptions()
    """Which inputs of a pod are believed; koordnri.policy.trust applies it."""
    injections: frozenset[str] = frozenset()
    """Kinds of injection (koordnri.model.injection) that are on: `trust` lists somebody for them."""
    chain_budget_s: float | None = None
    """Seconds for all hooks of one event; None: a quarter of the runtime's request timeout."""
    namespaces_left_alone: frozenset[str] = frozenset()
    """No hook decides anything for their pods."""
    reserved_cpus: CPUSet | None = None
    """CPUs in no share pool and without batch work; None when none are reserved. See `without_reserved`."""
    record_route: RecordRoute | None = None
    """None: the document does not say, which means auto."""
    publish_topology: PublishTopology = "none"
    """What is published of the node as a NodeResourceTopology."""
    strategies: dict[str, str] = msgspec.field(default_factory=dict)
    """Key of the document → name of the node strategy in use, if any."""
    notes: tuple[str, ...] = ()
    """What its author may not have meant for this node: further strategies that match it."""

    def hook_mode(self, hook_name: str) -> HookMode:
        """Whether the hook runs, and whether its decisions are applied."""
        return self.hooks.get(hook_name, _DEFAULT_OPTIONS).mode

    def failure_policy(self, hook_name: str) -> FailurePolicy:
        """What an error of the hook costs: its fields (ignore), or the container (fail)."""
        return self.hooks.get(hook_name, _DEFAULT_OPTIONS).failure_policy

    def cpu_burst(self, pod: Pod) -> CPUBurst:
        """The pod's annotation `koordinator.sh/cpuBurst` over the node's CPU burst. Raises AnnotationError."""
        return merge_cpu_burst(self.burst, CPU_BURST.of(pod))

    def cpu_qos(self, pod: Pod) -> PodCPUQOS | None:
        """The pod's annotation `koordinator.sh/cpuQOS`; None without one. Raises AnnotationError."""
        return CPU_QOS.of(pod)

    def memory_qos(self, pod: Pod) -> MemoryQOS:
        """The pod's annotation `koordinator.sh/memoryQOS` over the memory QoS of its class (label, else Kubernetes' class).

        `enable` in the result says whether anything is asked for. Raises AnnotationError; then use `class_memory_qos`.
        """
        if MEMORY_QOS.key not in pod.annotations:  # a shortcut for most pods, on the event path
            return self.class_memory_qos(pod)
        return merge_memory_qos(
            self.class_memory_qos(pod), MEMORY_QOS.of(pod), recommended_memory_qos(pod.qos_or_default)
        )

    def class_memory_qos(self, pod: Pod) -> MemoryQOS:
        """The same without the annotation."""
        class_qos = self.qos.of(pod.qos_or_default)
        return NONE_MEMORY_QOS if class_qos is None or not class_qos.memory.enable else class_qos.memory

    def blkio_qos(self, pod: Pod) -> PodBlkIOQOS | None:
        """The pod's annotation `koordinator.sh/blkioQOS`, not merged; None without one. Raises AnnotationError."""
        return BLKIO_QOS.of(pod)

    def network_qos(self, pod: Pod) -> PodNetworkQOS | None:
        """The pod's annotation `koordinator.sh/networkQOS`; None without one. Raises AnnotationError."""
        return NETWORK_QOS.of(pod)

    def hook_options(self, hook_name: str) -> Mapping[str, Any]:
        """The untyped options of a third party's hook."""
        options = self.hooks.get(hook_name)
        return options.options if isinstance(options, OtherHookOptions) else {}


DEFAULT_POLICY = Policy()
"""The policy without a document: koordlet's defaults, in which every class is disabled."""


def resolve(document: PolicyDocument | None, node_name: str, node_labels: Mapping[str, str]) -> Policy:
    """The policy of one node: defaults <- cluster strategy <- first node strategy whose selector matches, per key.

    Without the label kubernetes.io/hostname (no API server), the name is used for it.
    """
    if document is None:
        return DEFAULT_POLICY
    labels = {_HOSTNAME: node_name, **node_labels} if node_name else node_labels
    values: dict[str, Any] = {}
    strategies: dict[str, str] = {}
    notes: list[str] = []
    for key, section in document.sections.items():
        matching = section.matching(labels)
        values[key] = section.nodes[matching[0]].value if matching else section.cluster
        if matching:
            strategies[key] = section.nodes[matching[0]].name
        if len(matching) > 1:
            notes.append(_overlap(key, section, matching))
    notes += [
        f"resource-qos-config.{path}: {message}"
        for path, message in check_bandwidth(
            values["resource-qos-config"].networks, values["system-config"].total_network_bandwidth
        )
    ]
    config = values["koordnri-config"]
    budget_ms = config.chain_budget_milliseconds
    return Policy(
        revision=document.revision,
        source=document.source,
        qos=values["resource-qos-config"],
        threshold=values["resource-threshold-config"],
        burst=values["cpu-burst-config"],
        system=values["system-config"],
        normalization=values["cpu-normalization-config"],
        host_applications=values["host-application-config"].applications,
        cpuset=config.hooks.cpuset,
        cfs_quota=config.hooks.cfs_quota,
        memory=config.hooks.memory,
        rdt=config.hooks.rdt,
        blkio=config.hooks.blkio,
        gpu=config.hooks.gpu,
        hooks=_by_name(config.hooks),
        controllers=config.controllers,
        trust=config.trust,
        injections=frozenset(config.trust.injection.listed()),
        chain_budget_s=None if budget_ms is None else budget_ms / 1000,
        namespaces_left_alone=frozenset(config.namespaces_left_alone),
        reserved_cpus=config.reserved_cpus,
        record_route=config.record_route,
        publish_topology=config.publish_topology,
        strategies=strategies,
        notes=tuple(notes),
    )


def _overlap(key: str, section: Section[Any], matching: Sequence[int]) -> str:
    nodes_key = SHAPES[key].nodes_key
    taken, *others = matching
    also = [section.label(nodes_key, index) for index in others[:_MOST_SHOWN]]
    if len(others) > _MOST_SHOWN:
        also.append(f"{len(others) - _MOST_SHOWN} more")
    return f"{key}: {section.label(nodes_key, taken)} is taken, as it comes first; this node is matched by {', '.join(also)}, too"


_OWN_HOOKS = {f.encode_name: f.name for f in msgspec.structs.fields(Hooks) if f.name != Hooks.others_field}


def _by_name(hooks: Hooks) -> dict[str, HookOptions]:
    return {name: getattr(hooks, attribute) for name, attribute in _OWN_HOOKS.items()} | hooks.others
