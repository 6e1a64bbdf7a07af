"""Parts of a policy that are correct and have no effect: not implemented yet, or not supported by this node's kernel.

Reported for values that a strategy really has, defaults included; if nothing is enabled, nothing is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from koordnri.model import fields
from koordnri.model.fields import Field
from koordnri.model.node import NodeState
from koordnri.policy.blkio_qos import IOConfig, unused_blocks
from koordnri.policy.burst import CPUBurst
from koordnri.policy.host_application import HostApplications
from koordnri.policy.koordnri_config import KoordnriConfig
from koordnri.policy.memory_qos import MemoryQOS, recommended_memory_qos
from koordnri.policy.normalization import CPUNormalization, ModelRatios, ratio_problem
from koordnri.policy.qos import ClassQOS, ResourceQOS
from koordnri.policy.reader import Document
from koordnri.policy.system import SystemStrategy
from koordnri.policy.threshold import ResourceThreshold
from koordnri.policy.trust_options import TrustOptions

if TYPE_CHECKING:  # documents import this module
    from koordnri.policy.document import PolicyDocument
    from koordnri.policy.policy import Policy

Finding = tuple[str, str]
"""path below the strategy, message"""

NOT_DONE = "has no effect, koordnri does not do that yet"
_CLASSES = ("lsr", "ls", "be", "system")
_QOS_LABELS = {"lsr": "LSR", "ls": "LS", "be": "BE", "system": "SYSTEM"}


def without_effect(value: Document) -> list[Finding]:
    """Parts of a strategy that have no effect on any node."""
    found = _CHECKS.get(type(value))
    return [] if found is None else list(found(value))


def remarks(value: Document) -> list[Finding]:
    """Parts of a strategy that koordnri does differently from Koordinator's documents; they are not wrong."""
    if isinstance(value, ResourceQOS) and value.be.cpu.enable and value.be.cpu.sched_idle:
        return [
            (
                "beClass.cpuQOS.schedIdle",
                "BE pods become idle each, under either cpuPolicy (Koordinator: the class, under coreSched only): kubelet cannot start"
                " beside an idle class",
            )
        ]
    return []


def policy_warnings(document: PolicyDocument | None, policy: Policy, node: NodeState) -> tuple[str, ...]:
    """All warnings about the policy in force on a node, each with its path."""
    found = [] if document is None else list(map(str, document.warnings))
    return tuple(dict.fromkeys([*found, *policy.notes, *without_effect_on(policy, node)]))


def without_effect_on(policy: Policy, node: NodeState) -> list[str]:
    """Parts of a node's policy that have no effect on this node, or are refused there."""
    qos = "resource-qos-config"
    found = [f"cpu-normalization-config.{where}: {problem}" for where, problem in _refused_ratio(policy, node)]
    found += [f"{qos}.{where}: has no effect on this node: {why}" for where, why in _of_classes(policy.qos, node)]
    if policy.burst.policy in ("auto", "cpuBurstOnly") and (why := _no_file(fields.CPU_BURST, node)):
        found.append(f"cpu-burst-config.policy: has no effect on this node: {why}")
    return found


# On any node


def _of_threshold(value: ResourceThreshold) -> Iterator[Finding]:
    if value.enable:
        kept = "; so cfsQuota lifts no BE quotas either" if value.cpu_suppress_policy == "cfsQuota" else ""
        yield "enable", f"has no effect, koordnri does not suppress and evict BE yet{kept}"


def _of_qos(value: ResourceQOS) -> Iterator[Finding]:
    if value.policies.cpu_policy == "coreSched":
        yield (
            "policies.cpuPolicy",
            f"coreSched (coreExpeller, too) {NOT_DONE}; nor is there any group identity beside it",
        )
    if value.policies.net_qos_policy != "tc":
        yield "policies.netQOSPolicy", NOT_DONE
    for name in (*_CLASSES, "cgroup_root"):
        one: ClassQOS = getattr(value, name)
        json_name = "cgroupRoot" if name == "cgroup_root" else f"{name}Class"
        if one.network.enable:
            yield f"{json_name}.networkQOS", NOT_DONE
        if name != "be" and one.cpu.enable and one.cpu.sched_idle:
            yield f"{json_name}.cpuQOS.schedIdle", "has no effect: kubelet must be able to set the shares of these pods"
    if value.system.cpu.enable:
        yield "systemClass.cpuQOS", "has no effect: SYSTEM pods go by their class in Kubernetes"
    if value.system.resctrl.enable:
        yield "systemClass.resctrlQOS", "has no effect: SYSTEM pods are in no group of their own"
    for block in ("cpu", "memory", "resctrl"):
        if getattr(value.cgroup_root, block).enable:
            yield f"cgroupRoot.{block}QOS", "has no effect: of cgroupRoot, blkioQOS counts alone"
    yield from _of_blocks(value)
    yield from unused_blocks({f"{name}Class": getattr(value, name).blkio for name in ("lsr", "ls", "system")})


_AT_THE_ROOT = (
    "read_latency",
    "write_latency",
    "read_latency_percent",
    "write_latency_percent",
    "enable_user_model",
)
_BELOW_IT = ("read_iops", "write_iops", "read_bps", "write_bps", "io_weight_percent", "io_latency_target")


def _of_blocks(value: ResourceQOS) -> Iterator[Finding]:
    """Some settings of a disk count only at the root of all cgroups, the others everywhere else."""
    names = {info.name: info.encode_name for info in msgspec.structs.fields(IOConfig)}
    for where, blkio, idle, place in (
        ("beClass", value.be.blkio, _AT_THE_ROOT, "in cgroupRoot"),
        ("cgroupRoot", value.cgroup_root.blkio, _BELOW_IT, "below the root"),
    ):
        for i, block in enumerate(blkio.blocks if blkio.enable else ()):
            for name in idle:
                if getattr(block.io_cfg, name):
                    yield f"{where}.blkioQOS.blocks[{i}].ioCfg.{names[name]}", f"has no effect: it counts {place} alone"


def _of_burst(value: CPUBurst) -> Iterator[Finding]:
    if value.policy == "cfsQuotaBurstOnly":
        yield "policy", f"cfsQuotaBurstOnly (raising the quota of throttled containers) {NOT_DONE}"
    elif value.policy == "auto":
        yield "policy", "auto is cpuBurstOnly here: koordnri does not raise the quota of throttled containers yet"


def _of_system(value: SystemStrategy) -> Iterator[Finding]:
    for info in msgspec.structs.fields(SystemStrategy):
        if info.name != "total_network_bandwidth" and getattr(value, info.name) is not None:
            yield info.encode_name, NOT_DONE


def _of_applications(value: HostApplications) -> Iterator[Finding]:
    if value.applications:
        yield "applications", NOT_DONE


def _of_normalization(value: CPUNormalization) -> Iterator[Finding]:
    if problem := ratio_problem(value.default_ratio):
        yield "defaultRatio", problem
    for model, ratios in value.ratio_model.items():
        for info in msgspec.structs.fields(ModelRatios):
            ratio = getattr(ratios, info.name)
            if ratio is not None and (problem := ratio_problem(ratio)):
                yield f"ratioModel.{model}.{info.encode_name}", problem


def _of_trust(value: KoordnriConfig) -> Iterator[Finding]:
    trust = value.trust
    if trust.mode == "off" and msgspec.structs.replace(trust, mode="enforce") != TrustOptions():
        yield "trust", "has no effect: with mode off, all is believed of everybody"


_CHECKS: dict[type, Callable[..., Iterator[Finding]]] = {
    ResourceThreshold: _of_threshold,
    ResourceQOS: _of_qos,
    CPUBurst: _of_burst,
    SystemStrategy: _of_system,
    HostApplications: _of_applications,
    CPUNormalization: _of_normalization,
    KoordnriConfig: _of_trust,
}


# On this node


def _no_file(field: Field, node: NodeState) -> str:
    """Why the kernel does not support the field; "" when it does."""
    if node.field_files[field]:
        return ""
    return f"its kernel (cgroup v{node.cgroup_version}) has no {field.name}"


def _refused_ratio(policy: Policy, node: NodeState) -> Iterator[Finding]:
    selected = policy.normalization.selected(node) if policy.normalization.enable else None
    if selected is not None and (problem := ratio_problem(selected[1])):
        yield selected[0], f"{problem}; refused on this node, whose CPU it is of, so that its quotas are not normalised"


def _of_classes(qos: ResourceQOS, node: NodeState) -> Iterator[Finding]:
    for name in _CLASSES:
        one: ClassQOS = getattr(qos, name)
        where = f"{name}Class"
        identity = qos.policies.cpu_policy == "groupIdentity" and one.cpu.group_identity != 0
        if one.cpu.enable and name != "system":
            if identity and (why := _no_file(fields.CPU_BVT, node)):
                yield f"{where}.cpuQOS.groupIdentity", why
            if name == "be" and one.cpu.sched_idle and (why := _no_file(fields.CPU_IDLE, node)):
                yield f"{where}.cpuQOS.schedIdle", why
        if one.memory.enable:
            for path, why in _of_memory(one.memory, recommended_memory_qos(_QOS_LABELS[name]), node):
                yield f"{where}.memoryQOS.{path}", why
        if one.resctrl.enable and name != "system":
            if node.resctrl is None:
                yield f"{where}.resctrlQOS", "it has no resctrl"
            elif why := node.resctrl.why_not(name.upper()):
                yield f"{where}.resctrlQOS", why
    root = qos.cgroup_root.blkio
    if root.enable and root.blocks and not fields.IO_COST_QOS.file(node.cgroup_version, node.root_files):
        yield "cgroupRoot.blkioQOS", f"its kernel (cgroup v{node.cgroup_version}) has no cost control of disks"


_OF_MEMORY = (
    ("min_limit_percent", fields.MEMORY_MIN),
    ("low_limit_percent", fields.MEMORY_LOW),
    ("throttling_percent", fields.MEMORY_HIGH),
    ("oom_kill_group", fields.MEMORY_OOM_GROUP),
    ("wmark_ratio", fields.MEMORY_WMARK_RATIO),
    ("wmark_scale_permill", fields.MEMORY_WMARK_SCALE),
    ("wmark_min_adj", fields.MEMORY_WMARK_MIN_ADJ),
    ("priority_enable", fields.MEMORY_PRIORITY_OOM),
    ("priority", fields.MEMORY_PRIORITY),
    ("page_cache_enable", fields.PAGE_CACHE_ENABLE),
    ("page_cache_limit_percent", fields.PAGE_CACHE_SIZE),
    ("page_cache_limit_size", fields.PAGE_CACHE_SIZE),
)


def _of_memory(memory: MemoryQOS, usual: MemoryQOS, node: NodeState) -> Iterator[Finding]:
    """Values that differ from the class's defaults: nobody asked for the defaults."""
    names = {info.name: info.encode_name for info in msgspec.structs.fields(MemoryQOS)}
    for attribute, field in _OF_MEMORY:
        value = getattr(memory, attribute)
        if value and value != getattr(usual, attribute) and (why := _no_file(field, node)):
            yield names[attribute], why
