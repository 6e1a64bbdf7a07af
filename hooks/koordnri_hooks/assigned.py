"""The CPUs that the scheduler assigned to a pod: annotation `scheduling.koordinator.sh/resource-status`, key `cpuset`."""

from __future__ import annotations

from koordnri.model import AnnotationError, CPUSet, NodeState, Pod
from koordnri.model.annotations import RESOURCE_STATUS

MOST_VERBATIM = 1000
"""Characters. The kernel refuses some 100 and 6 per CPU that it could have, and with it the container; `0,0,0…` is as long as one likes."""
_PARSED = "cpuset of " + RESOURCE_STATUS.key


def assigned_cpus(pod: Pod, node: NodeState) -> str:
    """The annotation's text without blanks around it, checked; in its shortest form where it is long; "" when the pod has no CPUs
    of its own.

    Raises AnnotationError when it is no list of CPUs or names CPUs that the node does not have online: the runtime would then
    refuse the container.
    """
    status = RESOURCE_STATUS.of(pod)
    if status is None:
        return ""
    text = status.cpuset.strip()
    if not text:
        return ""
    cpus = pod.parsed.get(_PARSED)
    if cpus is None:
        try:
            cpus = pod.parsed[_PARSED] = CPUSet.parse(text)
        except ValueError as error:
            raise AnnotationError(RESOURCE_STATUS.key, f"cpuset: {error}") from None
    topology = node.topology
    if topology is not None and not cpus <= topology.online:
        raise AnnotationError(
            RESOURCE_STATUS.key,
            f"cpuset: {text[:60]} names CPUs {str(cpus - topology.online)[:60]}, which the node does not have online; "
            f"expected CPUs of {topology.online}",
        )
    return text if len(text) <= MOST_VERBATIM else str(cpus)
