"""CPUs that kubelet's static CPU manager pinned containers to, learned from the containers' requests.

kubelet's state file has the same, but a DaemonSet cannot read its present content: the file itself is mounted, and kubelet replaces it at
every change. Life of an entry:

    CreateContainer, or a later update by kubelet, with exclusive CPUs        pinned to exactly these
    an update that gives CPUs to a container that shares                      these are pinned by nobody any more
    an update that makes the container share                                  not pinned
    the container ends, is removed or created again                           stays: kubelet keeps them for its name
    the pod goes                                                              all removed
    Synchronize                                                               rebuilt from all containers

The second line is how we learn that kubelet took CPUs back from a container that we still know, for example of an ended pod whose sandbox
is not removed yet. kubelet re-sends shared cpusets every 10 s. Creates of containers that share are ignored: their cpuset may be stale.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from koordnri.model import Container, CPUSet, NodeState, Pod
from koordnri.model.cpuset import NO_CPUS, union
from koordnri.model.kubelet_cpus import cpus_in, pinned_by_kubelet


class FoundPin(NamedTuple):
    """One container in Synchronize."""

    pod: Pod
    container: Container
    ended: bool
    """whether its process has ended; kubelet may create it again, or may have taken its CPUs back"""


class KubeletPins:
    """Keyed by pod and name. Changed under a lock, by a new mapping each time, since the reconciler's thread may remove a pod."""

    def __init__(self) -> None:
        self._pins: Mapping[tuple[str, str], CPUSet] = {}
        self._all = NO_CPUS
        self._lock = threading.Lock()

    @property
    def pins(self) -> Mapping[tuple[str, str], CPUSet]:
        """(key of the pod, container) → its CPUs. Read only."""
        return self._pins

    def heard(self, pod: Pod, container: Container, requested: CPUSet, node: NodeState, *, new: bool) -> bool:
        """kubelet creates a container (`new`) or updates it. Returns whether the pinned CPUs changed.

        requested   the cpuset in this request; empty when it has none, as in a resize
        """
        pinned = pinned_by_kubelet(pod, container.baseline, node)
        if not pinned and not requested:
            return False
        shared = NO_CPUS if pinned or new else requested
        key = (pod.key, container.name)
        with self._lock:
            if self._pins.get(key, NO_CPUS) == pinned and not shared & self._all:
                return False
            pins = {k: left for k, cpus in self._pins.items() if k != key and (left := cpus - shared)}
            return self._put({**pins, key: pinned} if pinned else pins)

    def forget_pod(self, pod_key: str) -> bool:
        """The pod is gone. Returns whether that freed CPUs."""
        with self._lock:
            left = {key: cpus for key, cpus in self._pins.items() if key[0] != pod_key}
            return len(left) < len(self._pins) and self._put(left)

    def restore(self, found: Iterable[FoundPin], node: NodeState) -> None:
        """Synchronize: these are all containers. An ended one keeps its pins unless a live one shares them."""
        pins: dict[tuple[str, str], CPUSet] = {}
        ended: dict[tuple[str, str], CPUSet] = {}
        shared = NO_CPUS
        for pod, container, has_ended in found:
            if pinned := pinned_by_kubelet(pod, container.baseline, node):
                (ended if has_ended else pins)[pod.key, container.name] = pinned
            elif not has_ended:
                shared |= cpus_in(container.baseline.cpus)
        left = {key: cpus - shared for key, cpus in ended.items() if not cpus <= shared}
        with self._lock:
            self._put({**left, **pins})

    def applied(self, node: NodeState) -> NodeState:
        """The node with these added to the CPUs that kubelet gave away."""
        if node.kubelet_cpu_policy != "static" or self._all <= node.kubelet_cpus:
            return node
        return replace(node, kubelet_cpus=node.kubelet_cpus | self._all)

    def _put(self, pins: Mapping[tuple[str, str], CPUSet]) -> bool:
        before, self._pins = self._all, pins
        self._all = union(pins.values())
        return self._all != before
