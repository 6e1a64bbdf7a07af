"""Which CPUs a container runs on: cpu.cpus, cpu.mems.

The first that applies:
    0. exclusive CPUs from this node's allocator, where no scheduler assigns any (koordnri.cpus.allocator)
    1. CPUs that the scheduler assigned to the pod (`scheduling.koordinator.sh/resource-status`), whatever its class; otherwise CPUs that
       kubelet's `static` CPU manager gave to the container: nobody moves it off them
    2. NUMA nodes that the scheduler assigned: the share pools of those nodes; for BE the BE pools, and only with beCPUManager
    3. SYSTEM: the node's system CPUs, if there are any
    4. LS: all share pools
    5. Kubernetes' BestEffort: left alone; where this node computes the pools, kept off reserved CPUs and those of LSE
    6. all others: left to kubelet if its CPU manager is `static`, otherwise all share pools

Pools are joined as published, not normalised. Nothing is ever set to "", which no runtime understands as "clear". koordlet differs: its
step 5 sends "" to undo what kubelet set, which never had an effect through NRI. And it moves LS and SYSTEM containers off the CPUs that
kubelet pinned them to, and back every 10 s (Koordinator issue 1214). With the policy's `memoryBind`, cpu.mems follows the CPUs.
Source: koordinator.md 4.1.

exposed_cpus.py shows a container its CPUs. While best-effort work is suppressed, suppressed.py narrows what it has.

For a pod, cpu.cpus is that of its sandbox, the pause container's cgroup: it gets what a container without exclusive CPUs would get. The
pod's own cgroup limits all its containers and keeps kubelet's value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from koordnri.hook import ClassContext, ContainerContext, Hook, HostContext, PodContext
from koordnri.model import AnnotationError, CPUSet, KubeQoS, Pod, QoSClass, fields, parse_quantity
from koordnri.model.annotations import BATCH_CPU, RESOURCE_STATUS, ResourceStatus
from koordnri.model.fields import CPU_CPUS, CPU_MEMS
from koordnri.model.kubelet_cpus import pinned_by_kubelet
from koordnri.model.node import Pool
from koordnri.model.pod import PAUSE_HANDLERS
from koordnri.model.resource_spec import owners_named, resource_spec
from koordnri_hooks.assigned import assigned_cpus, set_assigned
from koordnri_hooks.exposed_cpus import expose_cpus
from koordnri_hooks.suppressed import narrow_class, narrow_cpus

_PARSED = "numaNodeResources of " + RESOURCE_STATUS.key
_NO_POOLS = ("", "no share pools are known for it")
_NOTHING: Mapping[str, str] = {}
_OF_CPUS = frozenset(("resourceStatus", "systemClass", "draDrivers"))
"""The trust rules about what this hook reads."""


class CPUSetHook(Hook):
    """CPUs; the module describes it."""

    name = "cpuset"
    order = 10
    owns = (fields.CPU_CPUS, fields.CPU_MEMS, fields.CPUS_ENV, fields.CPUS_FILE)

    def decide(self, ctx: ContainerContext) -> None:
        self._decide(ctx)
        if ctx.policy.cpuset.memory_bind:
            _bind_memory(ctx)
        if ctx.policy.cpuset.expose != "none":
            expose_cpus(ctx)
        if ctx.node.control.be_cpus is not None:
            narrow_cpus(ctx)

    def decide_pod(self, ctx: PodContext) -> None:
        """The sandbox's CPUs."""
        if ctx.pod.runtime_handler not in PAUSE_HANDLERS:
            handler = ctx.pod.runtime_handler
            ctx.skip(CPU_CPUS, f"sandbox: under runtime handler {handler} all containers may run in it")
            return
        cpus, reason = "", ""
        if RESOURCE_STATUS.key in ctx.pod.annotations:
            with contextlib.suppress(AnnotationError):  # reported with its containers
                cpus, reason = assigned_cpus(ctx.pod, ctx.node), "assigned by the scheduler"
        if not cpus:
            cpus, reason = _shared(ctx)
        if cpus:
            ctx.set(CPU_CPUS, cpus, f"sandbox: {reason}")
        else:
            ctx.skip(CPU_CPUS, f"sandbox: {reason}")

    def decide_class(self, ctx: ClassContext) -> None:
        """The CPUs of best-effort work, while it is suppressed."""
        narrow_class(ctx)

    def _decide(self, ctx: ContainerContext) -> None:
        pod, node = ctx.pod, ctx.node
        qos = pod.qos
        if qos is QoSClass.LSR or qos is QoSClass.LSE:
            _report_unreadable_wishes(ctx)
        if node.dra_cpus and ctx.container.name in node.dra_cpus.get(pod.key, ()):
            trusted = pod.verdict("draDrivers")
            because = f"; {trusted.why}" if trusted is not None else ""
            ctx.skip(CPU_CPUS, f"left to the DRA driver that gave it its CPUs{because}")
            return
        if node.exclusive_cpus and (exclusive := ctx.exclusive_cpus):
            ctx.set(CPU_CPUS, str(exclusive), "exclusive CPUs, given by this node")
            return
        if RESOURCE_STATUS.key in pod.annotations and _set_assigned(ctx):
            return
        if node.kubelet_cpu_policy == "static" and pinned_by_kubelet(pod, ctx.baseline, node):
            ctx.skip(CPU_CPUS, "left to kubelet, whose static CPU manager gave it exclusive CPUs")
            return
        cpus, reason = _shared(ctx)
        if why := node.no_exclusive_cpus.get(pod.key, _NOTHING).get(ctx.container.name):
            reason = f"{reason}; no exclusive CPUs: {why}"
        if pod.verdicts:
            refusals = (str(v) for v in node.verdicts_of(pod) if v.rule in _OF_CPUS and not v.counts)
            reason = "; ".join(filter(None, (reason, *refusals)))
        if cpus:
            ctx.set(CPU_CPUS, cpus, reason)
        else:
            ctx.skip(CPU_CPUS, reason)

    def decide_host(self, ctx: HostContext) -> None:
        """As in koordlet, only applications of LS have CPUs of their class."""
        if ctx.qos is QoSClass.LS:
            cpus, reason = _joined(ctx.node.ls_pools, "share pools of LS") or _NO_POOLS
            if cpus:
                ctx.set(CPU_CPUS, cpus, reason)
            else:
                ctx.skip(CPU_CPUS, reason)


def _report_unreadable_wishes(ctx: ContainerContext) -> None:
    """An annotation that cannot be parsed counts as absent; the pod's owner gets an Event."""
    for read in (resource_spec, owners_named):
        try:
            read(ctx.pod)
        except AnnotationError as error:
            ctx.error(error)


def _set_assigned(ctx: ContainerContext) -> bool:
    """Decide cpu.cpus by what the scheduler assigned. False when it assigned none, or the annotation cannot be parsed: then the container
    gets the share pool, because on all CPUs it would run on other containers' exclusive ones.
    """
    try:
        return set_assigned(ctx)
    except AnnotationError as error:
        ctx.error(error)
        return False


def _shared(ctx: ContainerContext | PodContext) -> tuple[str, str]:
    """CPUs of a pod's containers without exclusive ones, and the reason; "" when they are left alone."""
    pod, node = ctx.pod, ctx.node
    qos = pod.qos
    if RESOURCE_STATUS.key in pod.annotations:
        numa = _readable_numa_nodes(ctx)
        if numa and (qos is not QoSClass.BE or ctx.policy.cpuset.be_cpu_manager):
            pools = node.be_pools if qos is QoSClass.BE else node.ls_pools
            found = [p for n in numa for p in pools if p.numa == n]
            if ctx.__class__ is ContainerContext and len({p.numa for p in found}) < len(numa):
                _report_unknown(ctx, numa)
            if joined := _joined(found, "pools of the assigned NUMA nodes"):
                return joined
    if qos is QoSClass.SYSTEM and node.system_cpus:
        return node.system_cpus, "the node's system CPUs"
    if qos is QoSClass.LS:
        return _joined(node.ls_pools, "share pools of LS") or _NO_POOLS
    if pod.kube_qos is KubeQoS.BESTEFFORT and node.pools_are_local and node.be_pools:
        return _joined(node.be_pools, "share pools of BE, as computed by this node") or _NO_POOLS
    if pod.kube_qos is KubeQoS.BESTEFFORT:
        return "", "BestEffort containers run on the CPUs of their parent cgroup"
    if node.kubelet_cpu_policy == "static":
        return "", "left to kubelet, whose CPU manager is static"
    return _joined(node.ls_pools, "share pools of the node") or _NO_POOLS


def _report_unknown(ctx: ContainerContext | PodContext, numa: Iterable[int]) -> None:
    """Some NUMA nodes of the annotation have no pool. If the node lacks them altogether, report it to the pod's owner."""
    topology = ctx.node.topology
    if topology is None:
        return
    known = {c.numa for c in topology.cpus}
    unknown = [n for n in numa if n not in known]
    if unknown:
        problem = f"numaNodeResources: expected NUMA nodes of {CPUSet(known)}, got {str(unknown[0])[:24]}"
        ctx.error(AnnotationError(RESOURCE_STATUS.key, problem))


def _bind_memory(ctx: ContainerContext) -> None:
    """Let cpu.mems follow the CPUs. If these are on all nodes that have memory, there is nothing to bind."""
    cpus, topology = ctx.value(CPU_CPUS), ctx.node.topology
    if cpus is None or topology is None:
        return
    if ctx.baseline.mems:
        ctx.skip(CPU_MEMS, "left to kubelet, whose memory manager has chosen")
        return
    chosen, memory = CPUSet.parse(cpus), CPUSet.parse(ctx.node.memory_nodes)
    all_nodes = CPUSet(c.numa for c in topology.cpus)
    nodes = CPUSet(c.numa for c in topology.cpus if c.cpu in chosen)
    if memory:
        nodes, all_nodes = nodes & memory, all_nodes & memory
    if not nodes:
        ctx.skip(CPU_MEMS, "the NUMA nodes of its CPUs have no memory")
    elif nodes != all_nodes:
        ctx.set(CPU_MEMS, str(nodes), "memory of the NUMA nodes of its CPUs (memoryBind)")


def _joined(pools: Iterable[Pool], reason: str) -> tuple[str, str] | None:
    """(CPUs of all these pools, reason); None when there are none, since nothing is ever set to ""."""
    cpus = ",".join([p.cpus for p in pools if p.cpus])
    return (cpus, reason) if cpus else None


def _readable_numa_nodes(ctx: ContainerContext | PodContext) -> tuple[int, ...]:
    try:
        return _numa_nodes(ctx.pod)
    except AnnotationError as error:
        reported = any(e.message == str(error) for e in ctx.errors)
        if ctx.__class__ is ContainerContext and not reported:
            ctx.error(error)
        return ()


def _numa_nodes(pod: Pod) -> tuple[int, ...]:
    """NUMA nodes from which the scheduler took CPUs, in the annotation's order; () when there are none. Raises AnnotationError."""
    known: tuple[int, ...] | None = pod.parsed.get(_PARSED)
    if known is None:
        status = RESOURCE_STATUS.of(pod)
        known = pod.parsed[_PARSED] = () if status is None else _read_numa_nodes(status)
    return known


def _read_numa_nodes(status: ResourceStatus) -> tuple[int, ...]:
    took_cpus = False
    for i, entry in enumerate(status.numa_node_resources):
        for resource in ("cpu", BATCH_CPU):
            if (text := entry.resources.get(resource)) is None:
                continue
            try:
                amount = parse_quantity(text)
            except ValueError as error:
                raise AnnotationError(
                    RESOURCE_STATUS.key, f'numaNodeResources[{i}].resources["{resource}"]: {error}'
                ) from None
            took_cpus = took_cpus or amount > 0
    # Without repetitions: thousands of them would make a text that the kernel refuses, and the container with it.
    return tuple(dict.fromkeys([entry.node for entry in status.numa_node_resources])) if took_cpus else ()
