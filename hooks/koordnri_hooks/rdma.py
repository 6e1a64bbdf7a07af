"""RDMA devices that the scheduler allocated to the pod: device. A step of the hook gpu, which owns all device nodes.

`device-allocated["rdma"]`: each entry names virtual functions (`extension.vfs[].busID`), or else its own PCI address (`id`). Each function
gives its verbs devices `/dev/infiniband/uverbsN`, mode 0666, with numbers from the node's sysfs. The connection manager's
`/dev/infiniband/rdma_cm` is added, since few programs connect without it. The runtime adds a device cgroup rule (read, write) per node.

An unknown address costs only itself: the others are given, and the pod's owner gets an Event. Source: koordinator.md 8.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from koordnri.hook import ContainerContext
from koordnri.model import AnnotationError
from koordnri.model.annotations import DEVICE_ALLOCATED, AllocatedDevice
from koordnri.model.fields import DEVICE
from koordnri_hooks.device_request import why_not_requested

DIRECTORY = "/dev/infiniband"
CM = f"{DIRECTORY}/rdma_cm"
MOST_FUNCTIONS = 256
"""Most functions accepted: more than a scheduler allocates to one pod."""


def give_rdma(ctx: ContainerContext, devices: Sequence[AllocatedDevice]) -> None:
    """Set the device nodes. Raises AnnotationError."""
    known = ctx.node.rdma_devices
    if known is None:
        ctx.skip(DEVICE, "the RDMA devices of this node are not known", DIRECTORY)
        return
    if ctx.policy.gpu.require_request != "never" and (why_not := why_not_requested(ctx.pod, "rdma", ())):
        ctx.skip(DEVICE, why_not, DIRECTORY)
        return
    wanted: dict[str, str] = {}
    for where, address in _functions(devices):
        if len(wanted) == MOST_FUNCTIONS:
            raise AnnotationError(DEVICE_ALLOCATED.key, f"rdma: expected at most {MOST_FUNCTIONS} functions, got more")
        wanted.setdefault(address.lower(), where)
    reason = "RDMA device given by the scheduler"
    absent = []
    for address, where in wanted.items():
        nodes = known.get(address)
        if nodes is None:
            absent.append((where, address))
            continue
        for path, node in nodes.items():
            ctx.set(DEVICE, node, reason, path)
    if len(absent) < len(wanted):
        if ctx.node.rdma_cm is None:
            ctx.skip(DEVICE, "the kernel has none: load its module rdma_ucm", CM)
        else:
            ctx.set(DEVICE, ctx.node.rdma_cm, "goes with RDMA devices", CM)
    if absent:
        where, address = absent[0]
        more = f"; and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise AnnotationError(
            DEVICE_ALLOCATED.key,
            f'{where}: expected the PCI address of an RDMA device of this node, got "{address[:60]}"{more}',
        )


def _functions(devices: Sequence[AllocatedDevice]) -> Iterator[tuple[str, str]]:
    """(path in the annotation, PCI address) of each function."""
    for i, device in enumerate(devices):
        vfs = device.extension.vfs if device.extension is not None else ()
        for j, vf in enumerate(vfs):
            yield f"rdma[{i}].extension.vfs[{j}].busID", vf.bus_id
        if not vfs:
            yield f"rdma[{i}].id", device.id
