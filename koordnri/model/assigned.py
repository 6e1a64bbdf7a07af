"""The CPUs that a scheduler assigned to a pod: annotation `scheduling.koordinator.sh/resource-status`. Parsed once per pod."""

from __future__ import annotations

from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.cpuset import CPUSet
from koordnri.model.errors import AnnotationError
from koordnri.model.node import NodeState
from koordnri.model.pod import Pod

_PARSED = "cpuset of " + RESOURCE_STATUS.key
_NOTHING = CPUSet()


def assigned_cpus(pod: Pod) -> CPUSet:
    """The CPUs that the annotation names; empty when it names none. Raises AnnotationError when it cannot be parsed."""
    found: CPUSet | str | None = pod.parsed.get(_PARSED)
    if found is None:
        found = pod.parsed[_PARSED] = _read(pod)
    if isinstance(found, str):  # kept as text, because an exception that is raised again and again collects tracebacks
        raise AnnotationError(RESOURCE_STATUS.key, found)
    return found


def assigned_or_none(pod: Pod) -> CPUSet:
    """The same, but also empty when the annotation cannot be parsed. The cpuset hook reports it to the owner."""
    if RESOURCE_STATUS.key not in pod.annotations:
        return _NOTHING
    try:
        return assigned_cpus(pod)
    except AnnotationError:
        return _NOTHING


def assigned_on(pod: Pod, node: NodeState) -> CPUSet:
    """The same on a node: empty, too, when another pod has some of these CPUs."""
    disputed = node.disputed_cpus.get(pod.key)
    return assigned_or_none(pod) if disputed is None or disputed.counts else _NOTHING


def is_assigned(pod: Pod) -> bool:
    """Whether a scheduler chose the pod's CPUs, or their NUMA nodes."""
    if RESOURCE_STATUS.key not in pod.annotations:
        return False
    try:
        status = RESOURCE_STATUS.of(pod)
        return status is not None and bool(assigned_cpus(pod) or status.numa_node_resources)
    except AnnotationError:
        return False


def _read(pod: Pod) -> CPUSet | str:
    status = RESOURCE_STATUS.of(pod)
    if status is None or not status.cpuset.strip():
        return _NOTHING
    try:
        return CPUSet.parse(status.cpuset.strip())
    except ValueError as error:
        return f"cpuset: {error}"
