"""Which volumes of its pod a container uses, from NRI's lists of its mounts and devices.

Those lists are long, and few pods have a block I/O annotation or a claim. So they are read only for containers for which `has_volumes`.
"""

from __future__ import annotations

from koordnri.model import Pod
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.pod import path_inside
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views

_PODS = "/pods/"
_WITHOUT_DISK = frozenset(
    f"kubernetes.io~{kind}" for kind in ("configmap", "downward-api", "empty-dir", "projected", "secret")
)
BLOCK = "b"
"""type of a block device"""


def has_volumes(pod: Pod, container: str) -> bool:
    """Whether a container may have a volume behind a claim. The spec decides, since an annotation may be added later; while it is not
    known, whether the pod has an annotation that could name a volume.
    """
    if pod.spec is None:
        return BLKIO_QOS_KEY in pod.annotations
    spec = pod.spec.containers.get(container)
    return spec is not None and bool(spec.claimed)


def given_to(container: api.Container | views.Container) -> dict[str, str]:
    """Path in the container → kubelet's directory of the volume, or `major:minor` of the block device."""
    given: dict[str, str] = {}
    for mount in container.mounts:
        if name := volume_directory(mount.source):
            given[path_inside(mount.destination)] = name
    unsure = set()
    for device in container.linux.devices:
        if device.type == BLOCK:
            path, number = path_inside(device.path), f"{device.major}:{device.minor}"
            if given.setdefault(path, number) != number:
                unsure.add(path)  # a privileged container also has the host's devices, perhaps under the same path
    for path in unsure:
        del given[path]
    return given


def may_be_volume(source: str) -> bool:
    """Whether `volume_directory` may find a name for this mount; other mounts need not be kept."""
    return "/volume" in source


def volume_directory(source: str) -> str:
    """`/var/lib/kubelet/pods/<uid>/volumes/kubernetes.io~csi/<name>/mount` → name, also with subPath (`…/volume-subpaths/<name>/…`); ""
    for a mount that is no volume of kubelet's, or has no disk.
    """
    match source.rpartition(_PODS)[2].split("/"):
        case [_, "volumes", plugin, name, *_] if plugin not in _WITHOUT_DISK:
            return name
        case [_, "volume-subpaths", name, *_]:
            return name
    return ""
