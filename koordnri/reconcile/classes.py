"""The cgroups above the pods: the root of all cgroups and those of the QoS classes. Lists them and decides their fields."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from koordnri.chain import Chain, Snapshot
from koordnri.host.cgroup.paths import ROOT_DIRECTORY, class_directory, parent_directory, pod_directory
from koordnri.model import Decision, KubeQoS, NodeError, NodeState, Pod
from koordnri.model.class_cgroup import ClassCgroup

_KUBEPODS = "kubepods"
_SLICE = ".slice"


class Class(NamedTuple):
    """A cgroup above the pods, with the pods below it."""

    cgroup: ClassCgroup
    pods: Sequence[Pod]
    """all pods below it; below Guaranteed's, which is the cgroup of all pods, also those of the other classes"""


def classes_above(pods: Iterable[Pod], node: NodeState) -> list[Class]:
    """The cgroups above these pods. `pods`: all of the node."""
    pods = list(pods)
    root_of_pods = _root_of_pods(pods)
    found = [Class(ClassCgroup(None, ROOT_DIRECTORY), pods)]
    for qos in KubeQoS:
        below = pods if qos is KubeQoS.GUARANTEED else [p for p in pods if p.kube_qos is qos]
        found.append(Class(ClassCgroup(qos, _directory(qos, root_of_pods, node)), below))
    return found


def decide_classes(chain: Chain, pods: Iterable[Pod], snapshot: Snapshot) -> list[tuple[ClassCgroup, Decision]]:
    """Decide every cgroup above these pods: (cgroup, decision). Empty when no hook decides there."""
    if not chain.decides_classes:
        return []
    return [
        (one, chain.decide_root(snapshot) if one.qos is None else chain.decide_class(one.qos, below, snapshot))
        for one, below in classes_above(pods, snapshot.node)
    ]


def _root_of_pods(pods: Iterable[Pod]) -> str:
    """The cgroup of all pods, from a pod's path: nothing else shows kubelet's --cgroup-root. "" when no pod shows it.

    A pod that kubelet does not run (but crictl, for example) may be anywhere, and is ignored.
    """
    for pod in pods:
        with contextlib.suppress(NodeError):
            above = parent_directory(pod_directory(pod.cgroup_parent))
            root = above if pod.kube_qos is KubeQoS.GUARANTEED else parent_directory(above)
            if root.removesuffix(_SLICE).endswith(_KUBEPODS):
                return root
    return ""


def _directory(qos: KubeQoS, root_of_pods: str, node: NodeState) -> str:
    if not root_of_pods:
        return class_directory(qos, node.cgroup_driver)
    if qos is KubeQoS.GUARANTEED:
        return root_of_pods
    name = root_of_pods.rpartition("/")[2]
    if name.endswith(_SLICE):
        return f"{root_of_pods}/{name.removesuffix(_SLICE)}-{qos.lower()}{_SLICE}"
    return f"{root_of_pods}/{qos.lower()}"
