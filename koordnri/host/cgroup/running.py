"""What cgroups show about a pod and the runtime does not report: whether its sandbox runs, and a container's CPUs."""

from __future__ import annotations

from koordnri.host.cgroup.paths import container_directory, parent_directory, pod_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import CPUSet, NodeError, Pod, fields
from koordnri.model.pod import PAUSE_HANDLERS

_CRIO = "cri-o"


def has_ended(writer: Writer, pod: Pod, runtime: str) -> bool:
    """Whether a sandbox in which no container runs has been stopped. kubelet keeps it for up to days, and NRI does not report it.

    runtime   its name in NRI. CRI-O may run no pause container; then only a pod whose cgroup has vanished is known to have ended
    """
    try:
        directory = pod_directory(pod.cgroup_parent)
        if not writer.has(parent_directory(directory)):
            return False  # no cgroups to go by
        if not writer.has(directory):
            return True
        if runtime == _CRIO or pod.runtime_handler not in PAUSE_HANDLERS:
            return False
        return not writer.has(container_directory(pod.cgroup_parent, pod.id, runtime))
    except NodeError:
        return False


def cpus_now(writer: Writer, pod: Pod, container_id: str, runtime: str) -> CPUSet | None:
    """The cpuset of a container's cgroup; None when it cannot be read, or is empty."""
    try:
        directory = container_directory(pod.cgroup_parent, container_id, runtime)
    except NodeError:
        return None
    text = writer.read(directory, fields.CPU_CPUS).value
    return CPUSet.parse(text) if isinstance(text, str) and text else None
