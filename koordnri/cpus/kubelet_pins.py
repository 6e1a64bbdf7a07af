"""CPUs that kubelet's static CPU manager gave to single containers, as the containers' own requests tell it.

kubelet's state file tells the same, where it can be read as it is now. In a DaemonSet it cannot: the one file is mounted, and kubelet
replaces it at every change. Life of an entry:

    CreateContainer, or an update that kubelet sends later, with CPUs of the container's own   it has them, and no others
    an update that gives CPUs to somebody who shares                                           those are nobody's own any more
    an update that makes it share                                                              it has none
    its container ends, is removed or made again                                               stays: kubelet keeps them for the name
    its pod goes                                                                               none are left
    Synchronize                                                                                all anew, from what is there

The second is how we hear that kubelet took CPUs back from whom we still see, as from a pod that has ended and whose sandbox is still to
be removed. It tells all who share within 10 s. A creation that gives such CPUs to somebody who shares tells nothing: a slow one may have
been computed before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from koordnri.model import Container, CPUSet, NodeState, Pod
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.kubelet_cpus import cpus_told, pinned_by_kubelet


class Found(NamedTuple):
    """One container, as Synchronize tells it."""

    pod: Pod
    container: Container
    ended: bool
    """its process is no more; kubelet may make it again, or have taken its CPUs back"""


class KubeletPins:
    """Changed under a lock, as a new mapping each time, for the reconciler's thread may find a pod gone. Keyed by pod and name."""

    def __init__(self) -> None:
        self._pins: Mapping[tuple[str, str], CPUSet] = {}
        self._all = NO_CPUS
        self._lock = threading.Lock()

    def heard(self, pod: Pod, container: Container, told: CPUSet, node: NodeState, *, new: bool) -> bool:
        """kubelet creates a container (`new`) or updates it. True when not the same CPUs are pinned as before.

        told   the cpuset in this very request; empty when it says nothing of CPUs, as a resize does
        """
        pinned = pinned_by_kubelet(pod, container.baseline, node)
        if not pinned and not told:
            return False
        shared = NO_CPUS if pinned or new else told
        key = (pod.key, container.name)
        with self._lock:
            if self._pins.get(key, NO_CPUS) == pinned and not shared & self._all:
                return False
            pins = {k: left for k, cpus in self._pins.items() if k != key and (left := cpus - shared)}
            return self._put({**pins, key: pinned} if pinned else pins)

    def forget_pod(self, pod_key: str) -> bool:
        """The pod is gone. True when that freed CPUs."""
        with self._lock:
            return self._put({key: cpus for key, cpus in self._pins.items() if key[0] != pod_key})

    def restore(self, found: Iterable[Found], node: NodeState) -> None:
        """Synchronize: these are all there are. Who has ended has what nobody who lives shares."""
        pins: dict[tuple[str, str], CPUSet] = {}
        ended: dict[tuple[str, str], CPUSet] = {}
        shared = NO_CPUS
        for pod, container, is_over in found:
            if pinned := pinned_by_kubelet(pod, container.baseline, node):
                (ended if is_over else pins)[pod.key, container.name] = pinned
            elif not is_over:
                shared |= cpus_told(container.baseline.cpus)
        left = {key: cpus - shared for key, cpus in ended.items() if not cpus <= shared}
        with self._lock:
            self._put({**left, **pins})

    def applied(self, node: NodeState) -> NodeState:
        """The node with these among the CPUs that kubelet gave away."""
        if node.kubelet_cpu_policy != "static" or self._all <= node.kubelet_cpus:
            return node
        return replace(node, kubelet_cpus=node.kubelet_cpus | self._all)

    def _put(self, pins: Mapping[tuple[str, str], CPUSet]) -> bool:
        before, self._pins = self._all, pins
        self._all = reduce(CPUSet.__or__, pins.values(), NO_CPUS)
        return self._all != before
