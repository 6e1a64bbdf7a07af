"""Which disks a block of blkioQOS names: a disk or partition (device), an LVM group (volumegroup: all disks of its volumes) or a volume of
the pod (podvolume: its name in the pod's spec, as file system or raw block device, or its PersistentVolume's name).

The PersistentVolume behind a claim is found by a container that uses the volume: the spec (from the API server) has its path in the
container, and the runtime reports what is mounted there. Without the API server only names of PersistentVolumes work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from koordnri.model import NodeState, Pod

if TYPE_CHECKING:
    from koordnri.policy.blkio_qos import IOBlock

DESCRIBED = "which disks it lies on is not known of a node that is only described"
NOT_MOUNTED = "no volume of this pod is known to lie on a disk (yet)"
NO_SPEC = "that takes the API server (--kubeconfig)"
NOT_CREATED = "no container of this pod has been created with it (since the pod's spec is known)"
MOVED = "its containers were given different volumes under that name"


class Unusable(Exception):
    """Why a block names no disk. `wrong`: somebody has to fix it; otherwise it may become usable later."""

    def __init__(self, problem: str, *, wrong: bool = True) -> None:
        super().__init__(problem)
        self.wrong = wrong


def disks_of(node: NodeState, block: IOBlock, pod: Pod | None) -> Sequence[str]:
    """Paths of the block's disks. `pod`: None for a block of the policy. Raises Unusable."""
    name = block.name
    if block.type == "device":
        if node.block_devices is None:
            return (name,)
        number = node.block_devices.get(name)
        if number is None:
            raise Unusable(f"expected a block device of the node, got {name:.100}")
        # `number` of a partition is its disk's, so this is the disk's path.
        return (node.device_path(number) or name,)
    if block.type == "volumegroup":
        if node.volume_groups is None:
            raise Unusable(DESCRIBED, wrong=False)
        if name not in node.volume_groups:
            raise Unusable(f"expected an LVM volume group of the node with a volume, got {name:.100}")
        return node.volume_groups[name]
    if pod is None or not pod.uid:
        raise Unusable("expected type device or volumegroup, got podvolume: this is no pod's")
    return _disks_of_volume(pod, node, name)


def _disks_of_volume(pod: Pod, node: NodeState, name: str) -> Sequence[str]:
    """Disks of a volume. The pod's own name for it takes precedence over kubelet's. Raises Unusable."""
    if node.pod_volumes is None:
        raise Unusable(DESCRIBED, wrong=False)
    mounted = node.pod_volumes.get(pod.uid, {})
    places = pod.places_of(name)
    if places is None:
        return _disks_of_directory(pod, mounted, name)
    if len(places) != 1:
        raise Unusable(MOVED if places else NOT_CREATED, wrong=False)
    [place] = places
    disks = mounted.get(place) or node.disks_below.get(place)
    if not disks:
        raise Unusable(f"{place}, which is behind it, is not known to lie on a disk of the node (yet)", wrong=False)
    return disks


def _disks_of_directory(pod: Pod, mounted: Mapping[str, tuple[str, ...]], name: str) -> Sequence[str]:
    if name in mounted:
        return mounted[name]
    if not mounted:
        raise Unusable(NOT_MOUNTED, wrong=False)
    known = ", ".join(sorted(mounted)[:5])
    if pod.spec is None:
        problem = f"no PersistentVolume or ephemeral volume of this pod is called so ({known} are on disks)"
        raise Unusable(f"{problem}, and the names of its claims' volumes are in its spec only: {NO_SPEC}", wrong=False)
    claims = {volume for container in pod.spec.containers.values() for volume in container.claimed.values()}
    known = ", ".join(sorted({*claims, *mounted})[:8])
    raise Unusable(f"expected a volume of the pod on a disk, as the pod or kubelet calls it ({known}), got {name:.100}")
