"""CPUs near the GPUs that a scheduler gave to a pod: those of the same NUMA nodes. A wish, never a condition."""

from __future__ import annotations

from koordnri.model.annotations import DEVICE_ALLOCATED
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.errors import AnnotationError
from koordnri.model.node import NodeState
from koordnri.model.pod import Pod


def cpus_near_gpus(pod: Pod, node: NodeState) -> CPUSet:
    """Those CPUs; empty for a pod without GPUs, or with GPUs whose NUMA node is not known."""
    if not node.gpu_numa_nodes or node.topology is None or DEVICE_ALLOCATED.key not in pod.annotations:
        return NO_CPUS
    try:
        allocated = DEVICE_ALLOCATED.of(pod) or {}
    except AnnotationError:  # reported by the gpu hook
        return NO_CPUS
    nodes = {node.gpu_numa_nodes.get(device.minor) for device in allocated.get("gpu", ())}
    return CPUSet(c.cpu for c in node.topology.cpus if c.numa in nodes)
