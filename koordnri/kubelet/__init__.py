"""What kubelet and the runtime make of a Pod manifest: the messages that an NRI plugin gets.

Belongs here: kubelet's arithmetic (QoS class, cgroup names, shares, quota, OOM score) and the shape of containerd's messages.
Does not belong here: koordnri's own decisions, files, the API server. Pure functions. `explain` and `simulate` use them, so that a
manifest passes through koordnri as a real pod does.

Not imitated: exclusive CPUs of kubelet's static CPU manager, devices, hugepages, image defaults (PATH), `$(NAME)` in variables.
Sources: kubernetes pkg/kubelet/{cm,kuberuntime,qos} and k8s.io/component-helpers/resource (v1.34), containerd's CRI plugin.
"""

from koordnri.kubelet.manifest import ContainerManifest, PodManifest
from koordnri.kubelet.messages import SimulatedPod, pod_messages

__all__ = ["ContainerManifest", "PodManifest", "SimulatedPod", "pod_messages"]
