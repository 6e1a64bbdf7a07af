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
from koordnri.model.routes import Refusal
from koordnri.policy.blkio_qos import IOConfig, unused_blocks
from koordnri.policy.controller_effects import of_controllers
from koordnri.policy.host_application import HostApplications
from koordnri.policy.koordnri_config import KoordnriConfig
from koordnri.policy.memory_qos import MemoryQOS, recommended_memory_qos
from koordnri.policy.normalization import CPUNormalization, ModelRatios, ratio_problem
from koordnri.policy.qos import ClassQOS, ResourceQOS
from koordnri.policy.reader import Document
from koordnri.policy.system import SystemStrategy
from koordnri.policy.trust_options import InjectionTrust, TrustOptions

if TYPE_CHECKING:  # documents import this module
    from koordnri.policy.document import PolicyDocument
    from koordnri.policy.policy import Policy

Finding = tuple[str, str]
"""path below the strategy, message"""

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
    found += [
        f"system-config.{where}: has no effect on this node: {why}" for where, why in _of_sysctls(policy.system, node)
    ]
    found += [f"koordnri-config.controllers.{where}: {problem}" for where, problem in of_controllers(policy, node)]
    described = node.block_devices is None
    if policy.cpuset.keep_interrupts_off and not described and "interrupts" not in node.writes:
        where = "koordnri-config.hooks.cpuset.keepInterruptsOff"
        found.append(f"{where}: has no effect on this node: koordnri may not write them: --write interrupts")
    found += [f"{qos}.{where}: has no effect on this node: {why}" for where, why in _of_network_here(policy, node)]
    if policy.threshold.enable and (why := _no_suppress(policy, node)):
        found.append(f"resource-threshold-config.cpuSuppressPolicy: {why}")
    if policy.burst.policy in ("auto", "cpuBurstOnly") and (why := _no_file(fields.CPU_BURST, node)):
        found.append(f"cpu-burst-config.policy: has no effect on this node: {why}")
    mode = policy.controllers.quota_burst.mode
    if policy.burst.policy in ("auto", "cfsQuotaBurstOnly") and mode != "enforce":
        found.append(
            f"cpu-burst-config.policy: no quota is raised: mode {mode} of koordnri-config.controllers.quotaBurst"
        )
    return found


# On any node


def _of_qos(value: ResourceQOS) -> Iterator[Finding]:
    if value.policies.cpu_policy == "coreSched":
        yield (
            "policies.cpuPolicy",
            "coreSched needs a kernel with CONFIG_SCHED_CORE, CPUs with several threads per core, and the daemon's --write processes;"
            " there is no group identity beside it",
        )
    for name in (*_CLASSES, "cgroup_root"):
        one: ClassQOS = getattr(value, name)
        json_name = "cgroupRoot" if name == "cgroup_root" else f"{name}Class"
        if one.network.enable and (why := _of_network(name, value)):
            yield f"{json_name}.networkQOS", why
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


def _of_network(name: str, value: ResourceQOS) -> str:
    """What of a class's networkQOS has no effect on any node."""
    if name == "cgroup_root":
        return "has no effect: the root has no network class"
    if value.policies.net_qos_policy == "tc":
        return (
            "sets the net_cls.classid of the pods (1:2 SYSTEM, 1:3 LSE, LSR and LS, 1:4 BE) and nothing else: the queueing discipline"
            " with these classes is yours to make, and requests and limits have no effect"
        )
    return (
        ""
        if name in ("ls", "be")
        else "has no effect: under terway-qos only lsClass and beClass have bandwidth of their own"
    )


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


def _of_applications(value: HostApplications) -> Iterator[Finding]:
    for i, application in enumerate(value.applications):
        if why := application.why_not:
            yield f"applications[{i}]", f"has no effect: {why}"


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
    enforced = msgspec.structs.replace(trust, mode="enforce", injection=InjectionTrust())
    if trust.mode == "off" and enforced != TrustOptions():
        yield "trust", "has no effect: with mode off, all is believed of everybody"


_CHECKS: dict[type, Callable[..., Iterator[Finding]]] = {
    ResourceQOS: _of_qos,
    HostApplications: _of_applications,
    CPUNormalization: _of_normalization,
    KoordnriConfig: _of_trust,
}


# On this node


_LEAST_SUPPRESSED = 2
"""CPUs that best-effort work keeps under policy cpuset, as in koordlet"""


def _no_suppress(policy: Policy, node: NodeState) -> str:
    """Why nobody can be suppressed though the policy enables it; "" when they can."""
    cpus = 0 if node.topology is None else len(node.topology.online)
    if policy.threshold.cpu_suppress_policy == "cpuset" and 0 < cpus <= _LEAST_SUPPRESSED:
        return f"cpuset has no effect on this node: best-effort work keeps {_LEAST_SUPPRESSED} CPUs, and it has {cpus}; use cfsQuota"
    return ""


def _no_file(field: Field, node: NodeState) -> str:
    """Why the kernel does not support the field; "" when it does."""
    if node.field_files[field]:
        return ""
    return f"its kernel (cgroup v{node.cgroup_version}) has no {field.name}"


def _refused_ratio(policy: Policy, node: NodeState) -> Iterator[Finding]:
    selected = policy.normalization.selected(node) if policy.normalization.enable else None
    if selected is not None and (problem := ratio_problem(selected[1])):
        yield selected[0], f"{problem}; refused on this node, whose CPU it is of, so that its quotas are not normalised"


def _of_network_here(policy: Policy, node: NodeState) -> Iterator[Finding]:
    qos, described = policy.qos, node.block_devices is None
    if qos.policies.net_qos_policy == "terway-qos":
        if not described and "terway" not in node.writes:
            yield "policies.netQOSPolicy", "koordnri may not write terway's files: --write terway"
        return
    for name in _CLASSES:
        if getattr(qos, name).network.enable and (why := _no_file(fields.NET_CLASSID, node)):
            yield f"{name}Class.networkQOS", why


_SYSCTLS = (
    ("min_free_kbytes_factor", fields.VM_MIN_FREE),
    ("watermark_scale_factor", fields.VM_WATERMARK_SCALE),
    ("memcg_reap_back_ground", fields.MEMCG_REAPER),
    ("sched_group_identity_enabled", fields.SCHED_GROUP_IDENTITY),
    ("sched_idle_saver_wmark", fields.SCHED_IDLE_SAVER),
    ("sched_features", fields.SCHED_FEATURE),
    ("page_cache_limit_enabled", fields.PAGE_CACHE_LIMIT),
)


def _of_sysctls(system: SystemStrategy, node: NodeState) -> Iterator[Finding]:
    names = {info.name: info.encode_name for info in msgspec.structs.fields(SystemStrategy)}
    for attribute, field in _SYSCTLS:
        if getattr(system, attribute) is not None and isinstance(why := node.root_routes[field], Refusal):
            yield names[attribute], why
    if (known := node.sched_features) is not None:
        for name in (system.sched_features or {}).keys() - known:
            yield f"schedFeatures.{name}", "its kernel's scheduler has no such feature"


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
